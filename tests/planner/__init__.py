"""The rule-based planner: which words mean what, and what is asked instead of guessed. Read `test_sentences.py` first."""
