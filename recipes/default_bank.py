"""The noise bank that `faceguard protect` uses: one row for each of 100 CelebA identities, learnt to survive publication.

Claim     Algorithm 1 on noise of 28 x 28 cells, through scaling, JPEG, another alignment and gray pictures, meets its stop error
Command   FACEGUARD_DATA=... OMP_NUM_THREADS=1 python -m eval recipes/default_bank.py
Data      celeba-100: 2,640 photos of 100 identities
Expect    about 27 rounds, 5.2 MB, a quarter of an hour on one core; then copy the file to faceguard/default.safetensors
"""

from eval.banks import BankRecipe
from faceguard.generate import face_noise

experiment = BankRecipe(faces="celeba-100", settings=face_noise(epsilon=12 / 255, publication=True))
