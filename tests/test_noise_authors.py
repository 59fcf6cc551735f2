"""Algorithm 1 equals, bit for bit, a plain restatement of the authors' loop, photo by photo."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from faceguard.device import generator
from faceguard.identities import to_pixels
from faceguard.noise import random_noise
from tests.small import QUICK, learn, tiny_faces, tiny_net


def sign_steps(model, x, y, noise, chosen):
    """Their inner attack: start inside the pixel range, step against the sign, clip eta to the budget, T times."""
    eta, perturbed = noise, torch.clamp(x + noise, 0, 1)
    for _ in range(chosen.pgd_steps):
        perturbed = perturbed.clone().requires_grad_(True)
        F.cross_entropy(model(perturbed), y).backward()
        perturbed = perturbed.data - chosen.step_size * perturbed.grad.sign()
        eta = torch.clamp(perturbed - x, -chosen.epsilon, chosen.epsilon)
        perturbed = torch.clamp(x + eta, 0, 1)
    return eta


def source_order(count, seed, batch_size):
    """An endless stream of shuffled passes without their incomplete last batch."""
    number = 0
    while True:
        order = torch.randperm(count, generator=generator(seed, "source order", number)).tolist()
        yield from (order[i : i + batch_size] for i in range(0, count - batch_size + 1, batch_size))
        number += 1


def authors_loop(faces, model, chosen, *, seed, learn_on):
    """Train M steps, then one pass over the photos whose new etas become their class's (or their own) noise; repeat."""
    x, y = to_pixels(faces.pixels), torch.from_numpy(faces.labels)
    noise = random_noise(faces, chosen.form, chosen.epsilon, seed=seed)
    row_of = [int(y[i]) if chosen.form == "class-wise" else i for i in range(len(faces))]
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=chosen.learning_rate, momentum=0.9, weight_decay=5e-4)
    stream = source_order(len(faces), seed, chosen.batch_size)
    for number in range(chosen.max_rounds):
        model.train()
        for parameter in model.parameters():
            parameter.requires_grad = True
        for _ in range(chosen.train_steps):
            batch = next(stream)
            noisy = x[batch].clone()
            for place, photo in enumerate(batch):
                noisy[place] += noise[row_of[photo]]
            optimizer.zero_grad()
            F.cross_entropy(model(noisy), y[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), chosen.gradient_clip)
            optimizer.step()
        model.eval()
        for parameter in model.parameters():
            parameter.requires_grad = False
        order = torch.randperm(len(learn_on), generator=generator(seed, "noise order", number)).tolist()
        for start in range(0, len(order), chosen.batch_size):
            batch = [learn_on[i] for i in order[start : start + chosen.batch_size]]
            noises = torch.zeros_like(x[batch])
            for place, photo in enumerate(batch):
                noises[place] = noise[row_of[photo]]
            eta = sign_steps(model, x[batch], y[batch], noises, chosen)
            collected = {}
            for place, photo in enumerate(batch):
                collected.setdefault(row_of[photo], []).append(eta[place])
            for row, etas in collected.items():
                mean = torch.stack(etas).mean(dim=0)
                noise[row] = torch.clamp(noise[row] + (mean - noise[row]), -chosen.epsilon, chosen.epsilon)
        wrong = 0
        for start in range(0, len(learn_on), chosen.batch_size):
            batch = learn_on[start : start + chosen.batch_size]
            for place, photo in enumerate(batch):
                noises = torch.clamp(x[batch] + torch.stack([noise[row_of[p]] for p in batch]), 0, 1)
                with torch.no_grad():
                    wrong += int(model(noises)[place].argmax() != y[photo])
        if wrong / len(learn_on) <= chosen.stop_error:
            return noise, number + 1
    raise RuntimeError("the restatement did not converge")


@pytest.mark.parametrize(
    ("form", "steps", "part"),
    [("class-wise", 1, 1), ("class-wise", 3, 2), ("sample-wise", 1, 1), ("sample-wise", 4, 1)],
)
def test_the_noise_equals_the_authors_loop_bit_for_bit(form, steps, part):
    faces = tiny_faces(photos=7)
    learn_on = list(range(0, len(faces), part))
    chosen = replace(
        QUICK, form=form, pgd_steps=steps, train_steps=2, stop_error=0.01, learning_rate=0.05, max_rounds=40
    )
    rounds = []
    noise = learn(faces, chosen, learn_on=torch.tensor(learn_on), progress=rounds.append)
    expected, needed = authors_loop(faces, tiny_net(), chosen, seed=7, learn_on=learn_on)
    assert needed == len(rounds) > 1  # more than one round, so that both loops' states matter
    assert torch.equal(noise, expected)
