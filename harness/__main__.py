"""``python -m harness`` is the command ``gradparity``."""

from harness.cli import main

main(prog_name="gradparity")
