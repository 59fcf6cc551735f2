"""The noise bank that `faceguard protect` uses: one row for each of 100 CelebA identities, learnt to survive publication.

Claim     Algorithm 1 on noise of 28 x 28 cells, through scaling, JPEG and another alignment, meets its stop error
Command   FACEGUARD_DATA=... OMP_NUM_THREADS=1 python -m eval recipes/default_bank.py
Data      celeba-100: 2,640 photos of 100 identities
Expect    13 rounds, 5.2 MB, six minutes on one core; then copy default_bank.safetensors to faceguard/default.safetensors
"""

from eval.banks import BankRecipe
from faceguard.generate import face_noise

experiment = BankRecipe(faces="celeba-100", settings=face_noise(epsilon=12 / 255, publication=True))
