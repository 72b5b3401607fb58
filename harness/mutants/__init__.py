"""Planted mistakes: the proof that the harness can see, and the names of what it sees."""

from harness.mutants.executor import EXECUTOR_MUTANTS as EXECUTOR_MUTANTS
from harness.mutants.mutant import Mutant as Mutant
from harness.mutants.mutant import card_mutants as card_mutants
from harness.mutants.mutant import mutated_cards as mutated_cards
from harness.mutants.mutant import mutated_executor as mutated_executor
from harness.mutants.mutant import mutated_module as mutated_module
