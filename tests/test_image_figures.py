"""What a classification study's figure shows."""

from matplotlib.colors import to_rgb

from eval.figures import draw


def run(share, accuracy, **more):
    return {
        "share": share,
        "paper": None,
        "accuracy": {"last": {"mean": accuracy}},
        "curves": {"accuracy": [0.1, accuracy]},
        "recognized": {},
        **more,
    }


def axes_of(kind, runs, tmp_path, monkeypatch):
    """The panels of a figure."""
    kept = []
    monkeypatch.setattr("eval.figures.save_figure", lambda figure, path: kept.append(figure))
    draw({"title": "a title", "source": "a paper", "figure": kind, "runs": runs}, tmp_path)
    return kept[0].axes


def drawn(runs, tmp_path, monkeypatch):
    """Name -> points, for the lines of every panel of a figure of shares."""
    panels = axes_of("shares", runs, tmp_path, monkeypatch)
    return [{line.get_label(): line.get_xydata().round(6).tolist() for line in axes.lines} for axes in panels]


def test_series_run_over_the_share_of_photos_with_noise_and_curves_are_those_of_the_most_below_all(
    tmp_path, monkeypatch
):
    runs = {
        "noisy, 100%": run(1.0, 0.2),
        "noisy, 20%": run(0.2, 0.5),
        "noisy, 80%": run(0.8, 0.4),
        "clean part at 80%": run(0.8, 0.3),
        "clean": run(0.0, 0.6),
    }
    left, right = drawn(runs, tmp_path, monkeypatch)
    assert left == {"noisy": [[20, 50], [80, 40], [100, 20]], "clean part": [[80, 30]], "clean": [[0, 60]]}
    assert right == {"noisy, 80%": [[1, 10], [2, 40]], "clean part at 80%": [[1, 10], [2, 30]]}


def test_attack_success_takes_the_place_of_the_curves(tmp_path, monkeypatch):
    runs = {f"noisy, {share:.0%}": run(share, 0.5, attack_success={"mean": share / 2}) for share in (0, 0.6, 1)}
    _, right = drawn(runs, tmp_path, monkeypatch)
    assert right == {"noisy": [[0, 0], [60, 30], [100, 50]]}


def test_curves_show_how_much_of_the_claimed_classes_is_recognized(tmp_path, monkeypatch):
    runs = {"clean": run(0.0, 0.6, recognized={"ship": 0.8}), "noisy": run(1.0, 0.5, recognized={"ship": 0.04})}
    curves, recognized = axes_of("curves", runs, tmp_path, monkeypatch)
    assert curves.get_ylim() == (0, 70)
    assert [round(patch.get_height(), 6) for patch in recognized.patches] == [80, 4]
    assert [patch.get_facecolor()[:3] for patch in recognized.patches] == [
        to_rgb(line.get_color()) for line in curves.lines
    ]
    assert [text.get_text() for text in recognized.get_xticklabels()] == ["ship"]


def test_curves_of_a_study_without_claims_about_classes_are_alone(tmp_path, monkeypatch):
    (axes,) = axes_of("curves", {"clean": run(0.0, 0.93)}, tmp_path, monkeypatch)
    assert axes.get_ylim() == (0, 100)


def bars(chances, tmp_path, monkeypatch):
    """The axes of a figure of bars, of runs whose chances these are."""
    runs = {
        f"run {i}": run(0.0, 0.5) | {"chance": chance, "accuracy": {"last": {"mean": 0.5}, "best": {"mean": 0.6}}}
        for i, chance in enumerate(chances)
    }
    return axes_of("bars", runs, tmp_path, monkeypatch)[0]


def test_chance_that_differs_from_run_to_run_is_drawn_beside_each_bar(tmp_path, monkeypatch):
    axes = bars([0.1, 0.01, 0.1], tmp_path, monkeypatch)
    assert "chance" not in [line.get_label() for line in axes.lines]
    (pieces,) = [one for one in axes.collections if one.get_label() == "chance"]
    middles = {(round(piece[0][0], 6), round(piece[:, 1].mean(), 6)) for piece in pieces.get_segments()}
    assert middles == {(10, 2), (1, 1), (10, 0)}  # the first run is on top
    bar = {round(patch.get_y() + patch.get_height() / 2, 6) for patch in axes.patches}
    assert bar == {0, 1, 2}


def test_chance_that_is_the_same_for_all_runs_is_one_line(tmp_path, monkeypatch):
    axes = bars([0.1, 0.1], tmp_path, monkeypatch)
    (line,) = [line for line in axes.lines if line.get_label() == "chance"]
    assert set(line.get_xdata()) == {10}
    assert "chance" not in [one.get_label() for one in axes.collections]
