"""The judgement: exact values, derived rounding bounds, kinks, verdicts, place and blame.

    walk        a card's NumPy source over any kind of number
    oracle      exact values, gradients and updates, in ball arithmetic
    bounds      how far a correct evaluation may lie from them
    compare     one array: error, ulps, error / bound, verdict per element
    judge       one implementation's trace, step by step
    findings    whose fault, where first, why: in a sentence
    differences gradient checking without derivatives
"""
