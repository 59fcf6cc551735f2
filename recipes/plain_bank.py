"""The paper's noise for aligned faces, every pixel its own, as the recipes use it: one row for each of 100 CelebA identities.

Claim     Algorithm 1 reaches its stop error within 20 rounds
Command   FACEGUARD_DATA=... OMP_NUM_THREADS=1 python -m eval recipes/plain_bank.py
Data      celeba-100: 2,640 photos of 100 identities
Expect    13 rounds, 5.2 MB, about three minutes on one core; then copy plain_bank.safetensors to faceguard/plain.safetensors
"""

from eval.banks import BankRecipe

experiment = BankRecipe(faces="celeba-100")
