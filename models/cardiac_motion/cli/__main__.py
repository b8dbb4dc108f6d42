"""`python -m cardiac_motion.cli`, where the command itself is not on the path."""

from cardiac_motion.cli.app import main

if __name__ == "__main__":
    main()
