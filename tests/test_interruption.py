"""Ctrl-C in a real run of ``faceguard protect``, in a process of its own: it ends at once, whole, and can go on."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import skimage.data
from commands import coarse_bank, run
from PIL import Image

from faceguard import photo
from faceguard.manifest import MANIFEST


def test_ctrl_c_ends_a_run_of_two_processes_at_once_and_resume_completes_it(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number in range(20):
        scene = Image.fromarray(np.roll(skimage.data.astronaut(), 3 * number, axis=1))
        scene.save(tmp_path / "in" / f"{number:02d}.jpg")
    coarse_bank().save(tmp_path / "bank")
    out, words = (
        tmp_path / "out",
        [f"{tmp_path}/in", f"{tmp_path}/out", "--noise", f"{tmp_path}/bank", "--faces", "all"],
    )
    heeding = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # in the background it is ignored
    )
    command = [sys.executable, "-c", f"{heeding}; from faceguard.cli import main; main()", "protect", *words]
    with subprocess.Popen(
        [*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None and not ((out / MANIFEST).exists() and (out / MANIFEST).stat().st_size):
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        try:
            _, said = child.communicate(timeout=10)
        finally:
            child.kill()
    assert child.returncode > 0 and "Traceback" not in said
    lines = (out / MANIFEST).read_text().split("\n")
    done = [json.loads(line)["source"] for line in lines[:-1]]
    assert lines[-1] == "" and 0 < len(done) < 20 and not list(out.rglob(photo.PART_PATTERN))
    assert done == [f"{number:02d}.jpg" for number in range(len(done))]
    code, said, err = run(capsys, "protect", *words, "--workers", "1", "--resume")
    assert code == 0 and all(line.startswith("note: ") for line in err.splitlines())  # on what is taken for small faces
    assert f"20 of 20 photos protected in {out}, {len(done)} of them before" in said
    assert len(list(out.glob("*.png"))) == len((out / MANIFEST).read_text().splitlines()) == 20
