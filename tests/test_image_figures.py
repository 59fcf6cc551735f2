"""What a classification study's figure shows."""

from eval.figures import draw


def run(share, accuracy, **more):
    return {
        "share": share,
        "paper": None,
        "accuracy": {"last": {"mean": accuracy}},
        "curves": {"accuracy": [0.1, accuracy]},
        **more,
    }


def drawn(runs, tmp_path, monkeypatch):
    """Name -> points, for the lines of every panel of a figure of shares."""
    kept = []
    monkeypatch.setattr("eval.figures.save_figure", lambda figure, path: kept.append(figure))
    draw({"title": "a title", "source": "a paper", "figure": "shares", "runs": runs}, tmp_path)
    return [{line.get_label(): line.get_xydata().round(6).tolist() for line in axes.lines} for axes in kept[0].axes]


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
