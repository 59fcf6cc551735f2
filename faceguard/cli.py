"""The command line. Exit codes: 0 done, 1 something failed and is said in a sentence, 2 the command was mistyped."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from faceguard import cli_audit, cli_data, cli_photos, terminal
from faceguard.cli_audit import Arithmetic, Device, Precision

app = typer.Typer(
    name="faceguard",
    help="Protect face photos from recognizers that are trained on them, and measure whether it works.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Form = Literal["class-wise", "sample-wise"]
Model = Literal["inception-resnet-v1", "resnet-18", "mobilefacenet"]
Seed = Annotated[int, typer.Option(help="The same seed on the same processor gives the same bytes; a GPU may differ.")]
Out = Annotated[Path, typer.Option(help="Folder for the results; made when absent.")]


@app.command()
def demo(
    out: Out = Path("demo"),
    faces: Annotated[Path | None, typer.Option(help="Folder per identity: half of them are protected.")] = None,
    source: Annotated[Path | None, typer.Option(help="Folder per identity: the noise is learnt on these.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Arithmetic = "auto",
) -> None:
    """Run the case study in miniature, on drawn faces unless folders are given: a few minutes on two cores."""
    from faceguard.demo import DemoSettings, run_demo

    settings = DemoSettings()
    rounds, epochs, size = settings.noise.max_rounds, settings.adversary.train.epochs, settings.adversary.size
    terminal.claim(out, "report.json", "learning-curves.png", "roc.png", "before-after.png")
    fabric = _fabric(device, precision)  # a device that is not there is said before the photos are read
    people, others = (None if folder is None else terminal.read_faces(folder, size) for folder in (faces, source))
    with terminal.bars() as advance:
        report = run_demo(
            fabric,
            out,
            settings=settings,
            faces=people,
            source=others,
            seed=seed,
            on_round=lambda done: advance("noise, rounds at most", rounds, f"error {done.error:.2f}", done.number),
            on_epoch=lambda arm, done: advance(f"{arm} arm, epochs", epochs, terminal.epoch_line(done), done.number),
        )
    terminal.console.print(terminal.arms_table(report))
    terminal.say(f"Verdict: {report['verdict']}. {' '.join(report['reasons'])}")
    terminal.say(f"report.json and three pictures are in {out}.")
    terminal.list_left_out([failure for read in (people, others) if read is not None for failure in read.failures])


@app.command()
def generate(
    faces: Annotated[Path, typer.Argument(help="Labelled faces: folder per identity, CelebA, RecordIO or parquet.")],
    out: Annotated[Path, typer.Option(help="The noise bank to write, .safetensors.")],
    epsilon: Annotated[float, typer.Option(help="Largest change of a pixel, 1 to 255 levels; what ships has 12.")] = 16,
    form: Annotated[
        Form,
        typer.Option(help="A row for each identity; or for each photo, for trainings and recipes: protect refuses it."),
    ] = "class-wise",
    own: Annotated[Path | None, typer.Option("--with", help="Your own identities, learnt together with FACES.")] = None,
    publication: Annotated[
        bool, typer.Option(help="Noise that survives publishing a photo; without it, fine noise, for aligned faces.")
    ] = True,
    gray: Annotated[
        float, typer.Option(min=0, max=1, help="Share of photos that are gray meanwhile: less colourful noise.")
    ] = 0.0,
    model: Annotated[Model, typer.Option(help="The source model.")] = "resnet-18",
    max_rounds: Annotated[int, typer.Option(min=1, help="Give up after so many; a larger number then goes on.")] = 60,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Arithmetic = "auto",
) -> None:
    """Learn error-minimizing noise and write a noise bank. Interrupted, the same command goes on where it stopped."""
    from faceguard.checkpoint import reserved
    from faceguard.generate import SourceModel, face_noise, learn_bank
    from faceguard.identities import merge
    from faceguard.outputs import refuse_existing

    if out.suffix.lower() != ".safetensors":
        raise typer.BadParameter(f"A noise bank is a .safetensors file; write --out {out}.safetensors.")
    if not 1 <= epsilon <= 255:
        raise typer.BadParameter(f"--epsilon is in levels of 255, 1 to 255, and not {epsilon:g}.")
    if gray and not publication:
        raise typer.BadParameter("--gray changes noise that survives publication; leave --no-publication out.")
    terminal.claim(out.parent, out.name)
    settings = face_noise(epsilon=epsilon / 255, form=form, max_rounds=max_rounds, publication=publication, gray=gray)
    fabric = _fabric(device, precision)
    checkpoint = out.with_name(out.name + ".partial")
    with reserved(checkpoint):
        refuse_existing(out)  # of a run that ended while this one began
        people = terminal.read_faces(faces, 112)
        if own is not None:
            people = merge(people, terminal.read_faces(own, 112))
        with terminal.bars() as advance:
            bank = learn_bank(
                fabric,
                people,
                settings,
                source_model=SourceModel(name=model),
                seed=seed,
                checkpoint=checkpoint,
                progress=lambda done: advance("rounds at most", max_rounds, f"error {done.error:.3f}", done.number),
            )
        bank.save(out)
        checkpoint.unlink(missing_ok=True)  # only now: a full disk must not cost the rounds
    terminal.say(f"{out}: {len(bank)} rows of {bank.size} px at epsilon {epsilon:g}/255.")
    terminal.list_left_out(people.failures)


app.command()(cli_photos.protect)
app.command()(cli_photos.check)
app.command()(cli_audit.audit)
app.add_typer(cli_data.app, name="data")


@app.command()
def train(
    faces: Annotated[Path, typer.Argument(help="Labelled faces, protected or not.")],
    out: Out,
    model: Annotated[Model, typer.Option(help="The recognizer.")] = "inception-resnet-v1",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training photos.")] = 50,
    size: Annotated[int, typer.Option(min=32, help="Height and width of a face in pixels.")] = 112,
    hold_out: Annotated[float, typer.Option(min=0, max=0.9, help="Share of each identity's photos held out.")] = 0.2,
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls along a cosine.")] = 0.05,
    seed: Seed = 0,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Number of GPUs, or of processes on the CPU.")] = 1,
    precision: Arithmetic = "auto",
) -> None:
    """Train a recognizer from scratch. Interrupted, the same command goes on where it stopped."""
    from faceguard.device import alone, launch
    from faceguard.runs import RUN_FILE, Training, train_run
    from faceguard.train import TrainSettings

    if not 0 < learning_rate < float("inf"):
        raise typer.BadParameter(f"--learning-rate is a number above 0, and not {learning_rate:g}; 0.05 is usual.")
    terminal.claim(out, RUN_FILE)
    training = Training(
        faces=faces,
        out=out,
        model=model,
        size=size,
        settings=TrainSettings(epochs=epochs, learning_rate=learning_rate),
        hold_out=hold_out,
        seed=seed,
    )
    fabric = _fabric(device, precision, devices)
    if alone(fabric):
        with terminal.bars() as advance:
            finished = train_run(
                fabric,
                training,
                progress=lambda done: advance(
                    "epochs", epochs, terminal.epoch_line(done, terminal.HELD_OUT), done.number
                ),
                reading=partial(terminal.advance_read, advance),
            )
    else:  # a bar cannot be sent to other processes
        finished = launch(fabric, train_run, training, progress=terminal.say_epoch)
    if finished is None:  # one of torchrun's processes that are not the first
        return
    terminal.say_trained(out, finished.curve)
    terminal.list_left_out(finished.failures)


@app.command()
def eval_lfw(
    model: Annotated[
        str, typer.Argument(help="Run folder, .onnx, MobileFaceNet .ckpt, vggface2, casia-webface, buffalo_l.")
    ],
    lfw: Annotated[Path, typer.Option(help="LFW's folder of images, raw or aligned, or insightface's lfw.bin.")],
    out: Out,
    pairs: Annotated[Path | None, typer.Option(help="pairs.txt; by default the one in or beside the folder.")] = None,
    download: Annotated[bool, typer.Option(help="Fetch published weights when they are missing.")] = False,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Verify LFW's 6,000 pairs: AUC, EER, TAR at a FAR and ten-fold accuracy, each with a 95 % interval, and the ROC."""
    from faceguard.lfw import evaluate_lfw
    from faceguard.readers.lfw import read_pairs
    from faceguard.runs import load_model

    terminal.claim(out, "lfw.json", "roc.png")
    recognizer = load_model(model, download=download)
    wanted = read_pairs(lfw, pairs)
    with terminal.bars() as advance:
        result = evaluate_lfw(
            recognizer,
            wanted,
            out,
            seed=seed,
            device=_fabric(device, "fp32").device,
            on_read=lambda done, count: advance("photos read", count, "", done),
            on_embedded=lambda done, count: advance("faces embedded", count, "", done),
        )
    terminal.console.print(terminal.lfw_table(result))
    terminal.say_unmeasured(result)
    terminal.list_missing(result)


@app.command()
def eval_identities(
    run: Annotated[Path, typer.Argument(help="A run folder of faceguard train.")],
    faces: Annotated[Path, typer.Argument(help="Clean photos of the same identities; those trained on are left out.")],
    out: Out,
    groups: Annotated[
        Path | None, typer.Option(help='JSON {"protected": \\[identities]}; the others form a second group.')
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Recognition accuracy and verification on held-out photos, by group."""
    from faceguard.evaluate import evaluate_identities, read_groups
    from faceguard.runs import load_run

    terminal.claim(out, "identities.json", "roc.png")
    trained = load_run(run)
    protected = None if groups is None else read_groups(groups, trained.identities)
    fabric = _fabric(device, "fp32")
    people = terminal.read_faces(faces, trained.model.size)
    result = evaluate_identities(trained, people, out, protected=protected, seed=seed, device=fabric.device)
    terminal.console.print(terminal.groups_table(result))
    terminal.say_held_out(result)
    terminal.list_left_out(people.failures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an expected failure, or what the system refuses, becomes one sentence and exit code 1."""
    with terminal.sentences():
        app(args=None if arguments is None else list(arguments), prog_name="faceguard")


def _fabric(device: str, precision: Precision, devices: int = 1) -> Any:
    from faceguard.device import make_fabric

    return make_fabric(device=device, precision=precision, devices=devices)
