"""`python -m shared.cli`, the same as `intention`."""

from shared.cli.main import main

if __name__ == "__main__":
    main()
