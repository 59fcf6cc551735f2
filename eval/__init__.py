"""The harness: experiments on real faces, with controls, seeds and error bars; run as ``python -m eval RECIPE``."""
