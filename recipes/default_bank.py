"""The noise bank that ships with faceguard: one row for each of 100 CelebA identities.

Claim     Algorithm 1 reaches its stop error within 20 rounds, so that protecting a photo needs no training
Command   FACEGUARD_DATA=... OMP_NUM_THREADS=1 python -m eval recipes/default_bank.py
Data      celeba-100: 2,640 photos of 100 identities
Expect    13 rounds, 5.2 MB, about three minutes on one core; then copy default_bank.safetensors to faceguard/default.safetensors
"""

from eval.banks import BankRecipe

experiment = BankRecipe(faces="celeba-100")
