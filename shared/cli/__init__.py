"""The command line `intention`: `setup` writes `.env`, `doctor` says what is wrong.

Looks at neighbours (`reach`) and verdicts on what was seen (`judge`) are apart; the verdicts are pure.
"""
