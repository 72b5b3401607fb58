"""The judgement: exact values, derived rounding bounds, kinks, verdicts, place and blame.

    walk         a card's NumPy source over any kind of number
    oracle       exact values, gradients and updates, in ball arithmetic
    bounds       how far a correct evaluation may lie from them, in the worst case
    monte_carlo  how far it will lie in all likelihood
    local        every operation redone from the implementation's own inputs to it
    expected     what an operation makes of them, and the verdict on what is there
    kinks        undetermined branches, and the side an implementation took
    compare      one array: error, ulps, error / bound, verdict per element
    judge        one implementation's trace, step by step: all of the above together
    screen       many cases of one network, locally, at once
    findings     whose fault, where first, why: in a sentence
    differences  gradient checking without derivatives
    ladder       float32 against float64: what rounding explains shrinks, a mistake does not
    calibration  how exact the installed libraries' elementary functions are
"""
