"""``python -m faceguard``: the same as ``faceguard``."""

from faceguard.cli import main

if __name__ == "__main__":
    main()
