"""faceguard: error-minimizing noise for face photos, and the harness that checks it.

noise     noise (Algorithm 1), noise_settings, noise_run, noise_store, passes, gather, smooth, publication; bank, generate,
          controls
photos    photo, formats, endings, colour_profile, listing; protect, batch, manifest, earlier, copies, assign, secret
checks    check, framing, survival, quality, page (templating)
faces     finder, faces, uploads; readers, reading, decode, journal, face_cache, identities, lfw, datasets, fetch, inventory
networks  recognizer, mobilefacenet, arcface, published, train, flip_and_crop, runs, checkpoint, device
measures  identification, verification, ranking, measures, intervals, evaluate; averaging, frozen, adversary, countermeasure
verdicts  study, conclusion, doubts, claims, result, report, tiles, charts, plots
audit     audit and audit_*, pairs
commands  cli and cli_*, terminal, demo, outputs, pool, printable, errors, about
"""

__version__ = "0.1.0"
