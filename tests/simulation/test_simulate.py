"""The simulator: same seed same bytes, the layout, and physics that can be checked by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from ml4ops_helpers.datasets.catalogues import assert_disjoint, catalogue, load_scene
from ml4ops_helpers.scenes.sentinel2 import BANDS, WATER, brightness, merge_label, water_index
from ml4ops_helpers.simulation import landscape, rendering, simulate, spectra
from ml4ops_helpers.simulation.events import Event, draw_event
from ml4ops_helpers.simulation.landscape import drainage, flood_depth, fractal, make_place, rank, stage_for
from ml4ops_helpers.simulation.simulate import SIZES, simulate_scene, to_digital_numbers, write_embedded

SIZE = 192


@pytest.fixture(scope="module")
def scene() -> tuple[Event, simulate.Simulated]:
    event = draw_event("test", 0, 2, seed=0)
    return event, simulate_scene(event, 0, SIZE, seed=0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    write_embedded(folder, profile="smoke", seed=0, workers=1)
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*.*")}


class TestSeed:
    def test_same_seed_same_bytes_whatever_the_workers(self, root: Path, tmp_path: Path) -> None:
        write_embedded(tmp_path, profile="smoke", seed=0, workers=2)
        assert digest(tmp_path) == digest(root)

    def test_other_seed_other_scenes(self, scene) -> None:
        other = simulate_scene(draw_event("test", 0, 2, seed=1), 0, SIZE, seed=1)
        assert not np.array_equal(scene[1].image, other.image)

    def test_unknown_profile_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="'huge'"):
            write_embedded(tmp_path, profile="huge")
        assert not any(tmp_path.iterdir())


class TestLayout:
    def test_every_scene_has_its_six_files_on_one_grid(self, root: Path) -> None:
        table = catalogue(root)
        assert_disjoint(table)
        assert len(table) == sum(events * places for events, places in SIZES["smoke"][0].values())
        for _, row in table.iterrows():
            seen, label = load_scene(row)
            assert seen.bands == BANDS
            assert label is not None
            for kind in ("permanent", "truth", "pre", "meta"):
                assert Path(row[kind]).is_file(), kind
            assert json.loads(Path(row["meta"]).read_text())["radio_add_offset"] == seen.offset

    def test_no_event_in_two_splits(self, root: Path) -> None:
        assert_disjoint(catalogue(root))

    def test_lecture_is_as_large_as_promised(self) -> None:
        splits, size = SIZES["lecture"]
        assert (len(splits), size) == (3, 512)
        assert sum(events for events, _ in splits.values()) >= 12
        assert sum(events * places for events, places in splits.values()) >= 36

    def test_prior_shift(self) -> None:
        flooded = {s: np.mean([draw_event(s, n, 1, 0).flooded for n in range(8)]) for s in ("train", "test")}
        assert flooded["test"] > 3 * flooded["train"]


class TestTruth:
    def test_label_follows_the_truth(self, scene) -> None:
        _, made = scene
        under = made.truth[0]
        seen = made.label[1] > 0
        assert np.array_equal(made.label[1][seen], under[seen])
        assert np.array_equal(made.label[0] == 2, (made.truth[1] > simulate.CLOUD_THICKNESS) & (under > 0))

    def test_thick_cloud_hides_the_ground_and_thin_does_not(self) -> None:
        event = next(
            e for e in (draw_event("train", n, 1, 0) for n in range(40)) if e.thick[0] > 0.15 and e.thin[0] > 0.3
        )
        made = simulate_scene(event, 0, SIZE, seed=0)
        cloud = made.label[0] == 2
        hidden = cloud & (made.label[1] == 0)
        assert hidden.any()
        assert (cloud & ~hidden).any()
        dn = made.image.astype(np.float32) + event.offset
        assert np.median(brightness(dn)[hidden]) > 3500

    def test_water_lies_lower_than_land(self, scene) -> None:
        _, made = scene
        under, hand = made.truth[0], made.truth[3]
        assert np.median(hand[under == 2]) < np.median(hand[under == 1])

    def test_permanent_water_was_there_before(self, scene) -> None:
        _, made = scene
        permanent = made.permanent == 3
        before = water_index("mndwi", made.before / 1e4)
        assert permanent.any()
        assert np.median(before[permanent]) > np.median(before[made.permanent == 1])

    def test_flooded_share_is_the_one_asked_for(self) -> None:
        event = draw_event("test", 1, 1, seed=0)
        place = make_place(np.random.default_rng(3), event.region, SIZE)
        depth = flood_depth(place, stage_for(place, 0.25))
        dry = place.permanent_depth == 0
        assert (depth[dry] > 0).mean() == pytest.approx(0.25, abs=0.01)

    def test_missing_pixels_are_zero_everywhere(self) -> None:
        for number in range(30):
            event = draw_event("train", number, 1, 0)
            made = simulate_scene(event, 0, 96, seed=0)
            missing = (made.image == 0).all(axis=0)
            if missing.any():
                assert (made.label[:, missing] == 0).all()
                assert (made.image[:, ~missing] > 0).all()
                return
        pytest.fail("no scene of thirty has a swath edge")


class TestLandscape:
    def test_hand_of_a_valley_is_the_height_above_its_river(self) -> None:
        # A V-shaped valley, 1 m a pixel, falling 1 mm a row: k columns from the river is k m above it, and up to
        # k mm more, because water runs down slantwise.
        rows, cols = np.mgrid[:400, :41].astype(np.float32)
        elevation = np.abs(cols - 20) + 0.001 * (400 - rows) + 5
        hand, streams, area = drainage(elevation, cols == 20)
        assert np.array_equal(streams[:-1], (cols == 20)[:-1])
        assert np.allclose(hand[30:-30, 1:-1], np.abs(cols - 20)[30:-30, 1:-1], atol=0.03)
        assert area[-1, 20] == area.max()

    def test_water_rises_over_low_ground_first(self) -> None:
        place = make_place(np.random.default_rng(0), draw_event("train", 0, 1, 0).region, 96)
        low, high = flood_depth(place, 0.3), flood_depth(place, 1.0)
        assert ((low > 0) <= (high > 0)).all()
        assert (high >= low).all()

    def test_ranks_of_ties_are_a_permutation(self) -> None:
        values = np.random.default_rng(0).integers(0, 9, (6, 7))
        assert set(np.round(rank(values).ravel() * values.size).astype(int)) == set(range(values.size))

    def test_rougher_noise_is_rougher(self) -> None:
        smooth, rough = (fractal(np.random.default_rng(0), 128, r) for r in (2.0, 0.5))
        assert np.abs(np.diff(smooth)).mean() < 0.5 * np.abs(np.diff(rough)).mean()


class TestOptics:
    def test_sediment_brightens_the_red_of_dark_clear_water(self) -> None:
        clear, mixed, muddy = spectra.water_reflectance(
            [1.0, 30, 300], np.ones(3), np.full(3, 0.2), np.full(3, 30), np.zeros((13, 3))
        ).T
        assert clear[BANDS.index("B8")] < 0.005
        assert clear[BANDS.index("B2")] > clear[BANDS.index("B4")]
        assert clear[3] < mixed[3] < muddy[3]

    def test_a_film_of_water_shows_its_bottom_in_the_visible_only(self) -> None:
        bottom = np.full((13, 1), 0.3)
        film = spectra.water_reflectance([1.0], [1.0], [0.1], [0.02], bottom)[:, 0]
        assert film[BANDS.index("B3")] > 0.12
        assert film[BANDS.index("B11")] < 0.001

    def test_rayleigh_worked_by_hand(self) -> None:
        # Hansen & Travis 1974 at 0.56 µm, by hand: 0.008569 × 10.168 × (1 + 0.0360 + 0.0013) = 0.0904.
        air = spectra.Atmosphere(sun_zenith=0, aerosol=0, angstrom=1, vapour=1)
        assert float(air.rayleigh()[BANDS.index("B3")]) == pytest.approx(0.0904, abs=0.0001)

    def test_only_cirrus_shows_in_band_10(self) -> None:
        clear = np.full((13, 1, 1), 0.02, np.float32)
        low, high = (spectra.add_cloud(clear, [[10.0]], [[h]])[BANDS.index("B10"), 0, 0] for h in (0.0, 1.0))
        assert low < 0.03
        assert high > 0.2

    def test_a_shadow_is_darker_and_bluer(self) -> None:
        event = draw_event("train", 3, 1, 0)
        flat = np.full((13, 64, 64), 0.2, np.float32)
        shade = np.zeros((64, 64), np.float32)
        shade[:, 32:] = 40
        sky = rendering.Sky(thickness=0 * shade, shadow=shade, high=0 * shade, sidelight=0.1)
        image = rendering.sense(np.random.default_rng(0), flat, event.air, sky, event.look)
        lit, dark = image[:, :, 4:20].mean((1, 2)), image[:, :, 44:60].mean((1, 2))
        assert (dark < lit).all()
        assert dark[1] / dark[7] > lit[1] / lit[7]

    def test_snow_fools_an_index_and_is_land(self) -> None:
        event = next(
            e for e in (draw_event("train", n, 1, 0) for n in range(60)) if e.look.snow > 0.05 and not e.thick[0]
        )
        made = simulate_scene(event, 0, SIZE, seed=0)
        seen = (made.image.astype(np.float32) + event.offset) / 1e4
        snow = (made.label[1] == 1) & (made.label[0] == 1) & (seen[BANDS.index("B8")] > 0.45) & (seen[11] < 0.25)
        assert 0.01 < snow.mean() < 0.5
        assert np.median(water_index("mndwi", seen)[snow]) > 0.4
        assert abs(event.lat) > 35

    def test_coarse_bands_are_blocks(self) -> None:
        band = np.random.default_rng(0).random((60, 60)).astype(np.float32)
        coarse = rendering.resample(band, 6, nearest=True)
        assert np.array_equal(coarse, coarse[::6, ::6].repeat(6, 0).repeat(6, 1))
        assert float(coarse.mean()) == pytest.approx(float(band.mean()), abs=0.01)


def test_digital_numbers_round_trip() -> None:
    reflectance = np.linspace(0.01, 1.2, 12, dtype=np.float32).reshape(1, 3, 4)
    for offset in (0, -1000):
        numbers = to_digital_numbers(reflectance, offset, np.zeros((3, 4), bool))
        assert np.abs((numbers.astype(float) + offset) / 1e4 - reflectance).max() <= 0.5e-4 + 1e-6


def test_water_is_told_from_land_by_an_index(scene) -> None:
    event, made = scene
    clear = merge_label(made.label)
    index = water_index("mndwi", (made.image.astype(np.float32) + event.offset) / 1e4)
    assert np.median(index[clear == WATER]) > np.median(index[clear == 1]) + 0.2


def test_every_cover_has_a_composition() -> None:
    assert set(rendering.COMPOSITION) == set(landscape.COVERS)
    assert {plant for _, _, plant, _ in rendering.COMPOSITION.values()} <= set(spectra.ENDMEMBERS)
