"""Which name a photo gets beside an earlier run's copies, and that each photo is checked against its own."""

from pathlib import Path

from rerunning import HOW, lines, outputs, run, save, tree, two  # noqa: F401

from faceguard.check import check_photos


def test_another_persons_photos_of_the_same_names_get_names_of_their_own(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "out"
    assert outputs(run(two / "alice", out)) == ["1.png", "2.png"]
    alice = tree(out)
    assert outputs(run(two / "bob", out, rerun="resume")) == ["1.jpg.png", "2.png.png"]
    both = tree(out)
    assert both.items() > alice.items() and len(both) == 4
    for person, count in (("alice", 2), ("bob", 2), ("alice", 2)):  # and so it stays
        assert run(two / person, out, rerun="resume").resumed == count
    assert tree(out) == both
    assert lines(out) == {
        *(("1.jpg", "alice", "1.png"), ("2.png", "alice", "2.png")),
        *(("1.jpg", "bob", "1.jpg.png"), ("2.png", "bob", "2.png.png")),
    }


def test_one_persons_photos_of_the_same_names_from_two_folders_get_names_of_their_own(
    tmp_path: Path, two: Path
) -> None:
    out = tmp_path / "out"
    assert outputs(run(two / "alice", out, identity="me")) == ["1.png", "2.png"]
    first = tree(out)
    assert outputs(run(two / "bob", out, rerun="resume", identity="me")) == ["1.jpg.png", "2.png.png"]
    both = tree(out)
    assert both.items() > first.items() and len(set(both.values())) == 4 and len(lines(out)) == 4
    for folder in ("alice", "bob"):
        assert run(two / folder, out, rerun="resume", identity="me").resumed == 2 and tree(out) == both
        assert check_photos(two / folder, out, bank=HOW.bank).complete


def test_check_compares_each_persons_photos_with_their_own_copies(tmp_path: Path, two: Path) -> None:
    run(two / "alice", tmp_path / "out", identity="anna")
    run(two / "bob", tmp_path / "out", rerun="resume")
    for person, theirs in (("alice", ["1.png", "2.png"]), ("bob", ["1.jpg.png", "2.png.png"])):
        report = check_photos(two / person, tmp_path / "out", bank=HOW.bank)
        assert report.complete and [check.output for check in report.photos] == theirs


def test_a_photo_that_differs_in_its_ending_leaves_the_others_copy_alone(tmp_path: Path) -> None:
    first, second = save(tmp_path / "w" / "1.jpg", 1), save(tmp_path / "w" / "1.jpeg", 2)
    run(first, tmp_path / "out")
    before = tree(tmp_path / "out")
    for _ in range(2):
        assert outputs(run(second, tmp_path / "out", rerun="resume")) == ["1.jpeg.png"]
    assert tree(tmp_path / "out").items() > before.items()
    report = run(tmp_path / "w", tmp_path / "out", rerun="resume")
    assert (outputs(report), report.resumed) == (["1.jpeg.png", "1.png"], 2)


def test_copies_inside_the_folder_are_neither_protected_again_nor_missed(tmp_path: Path, two: Path) -> None:
    for name in ("out1", "out2"):
        assert len(run(two, two / name).results) == 4
    assert not (two / "out2" / "out1").exists()
    for name in ("out1", "out2"):
        report = check_photos(two, two / name, bank=HOW.bank)
        assert report.complete and (len(report.photos), report.unmatched) == (4, ())


def test_folders_of_copies_side_by_side_are_checked_by_their_paths(tmp_path: Path, two: Path) -> None:
    for person in ("alice", "bob"):
        run(two / person, tmp_path / "out" / person)
    assert check_photos(two, tmp_path / "out", bank=HOW.bank).complete


def test_a_new_photo_takes_no_name_that_an_earlier_one_has(tmp_path: Path) -> None:
    save(tmp_path / "in" / "1.jpg", 1)
    run(tmp_path / "in", tmp_path / "out")
    before = tree(tmp_path / "out")
    save(tmp_path / "in" / "1.png", 2)
    report = run(tmp_path / "in", tmp_path / "out", rerun="resume")
    assert (outputs(report), report.resumed) == (["1.png", "1.png.png"], 1)
    assert tree(tmp_path / "out").items() > before.items()


def test_the_same_photo_under_another_name_is_redone_in_its_place(tmp_path: Path, two: Path) -> None:
    run(two / "alice", tmp_path / "out")
    report = run(two / "alice", tmp_path / "out", rerun="resume", identity="anna")
    assert (outputs(report), report.resumed) == (["1.png", "2.png"], 0)
    assert {identity for _, identity, _ in lines(tmp_path / "out")} == {"anna"}
