"""The objectives against loops written from the paper's equations."""

from __future__ import annotations

import math

import pytest
import torch

from skygraft.training.objectives import Direction, Temperature, cosine, pooled_infonce, same_place


def pairs(n: int = 6, dim: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randn(n, dim, generator=generator, dtype=torch.float64)  # noqa: E731
    return draw(), draw()


def naive_sim(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b) / (math.sqrt(float(a @ a)) * math.sqrt(float(b @ b)))


def naive_infonce(anchors: torch.Tensor, others: torch.Tensor, tau: float, skip: set[tuple[int, int]]) -> float:
    """Equation 2, term by term; ``skip`` holds the pairs (i, j) that are nobody's negatives."""
    total = 0.0
    for i in range(len(anchors)):
        below = [naive_sim(anchors[i], others[j]) / tau for j in range(len(others)) if (i, j) not in skip]
        total += naive_sim(anchors[i], others[i]) / tau - math.log(sum(math.exp(x) for x in below))
    return -total / len(anchors)


@pytest.mark.parametrize("tau", [0.007, 0.07, 1.0])
def test_ground_to_satellite_is_equation_two(tau: float) -> None:
    satellite, ground = pairs()
    ours = pooled_infonce(satellite, ground, 1 / tau, direction=Direction.GROUND_TO_SATELLITE)
    assert float(ours) == pytest.approx(naive_infonce(ground, satellite, tau, set()), rel=1e-9)


def test_satellite_to_ground_turns_the_anchor() -> None:
    satellite, ground = pairs()
    ours = pooled_infonce(satellite, ground, 1 / 0.07, direction=Direction.SATELLITE_TO_GROUND)
    expected = naive_infonce(satellite, ground, 0.07, set())
    assert float(ours) == pytest.approx(expected, rel=1e-9)
    assert expected != pytest.approx(naive_infonce(ground, satellite, 0.07, set()), rel=1e-3)


def test_symmetric_is_the_mean_of_both() -> None:
    satellite, ground = pairs()
    one, other, both = (float(pooled_infonce(satellite, ground, 5.0, direction=d)) for d in Direction)
    assert both == pytest.approx((one + other) / 2, rel=1e-12)


@pytest.mark.parametrize("direction", [Direction.GROUND_TO_SATELLITE, Direction.SATELLITE_TO_GROUND])
def test_places_that_share_a_location_are_no_negatives(direction: Direction) -> None:
    satellite, ground = pairs()
    locations = torch.tensor([[0, -1], [1, 2], [0, 3], [2, -1], [4, -1], [5, 5]])
    ours = pooled_infonce(satellite, ground, 1 / 0.07, direction=direction, masked=same_place(locations))
    skip = {(0, 2), (2, 0), (1, 3), (3, 1)}
    anchors, others = (ground, satellite) if direction is Direction.GROUND_TO_SATELLITE else (satellite, ground)
    assert float(ours) == pytest.approx(naive_infonce(anchors, others, 0.07, skip), rel=1e-9)


def test_unknown_locations_never_match() -> None:
    assert not same_place(torch.full((4, 2), -1)).any()


@pytest.mark.parametrize("numbers", [10, 300, 100_000])
def test_places_share_what_a_plain_loop_says(numbers: int) -> None:
    # As many photos a tile as GRAFT has, some missing.
    generator = torch.Generator().manual_seed(numbers)
    locations = torch.randint(-numbers // 3, numbers, (40, 25), generator=generator).clamp(min=-1)
    sets = [set(row) - {-1} for row in locations.tolist()]
    expected = [[i != j and bool(one & other) for j, other in enumerate(sets)] for i, one in enumerate(sets)]
    assert same_place(locations).tolist() == expected


def test_a_batch_of_one_place_alone_has_loss_zero_and_finite_gradients() -> None:
    satellite, ground = pairs(n=3)
    satellite.requires_grad_()
    loss = pooled_infonce(satellite, ground, 10.0, masked=same_place(torch.zeros(3, 1, dtype=torch.long)))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-12)
    assert satellite.grad is not None
    assert torch.isfinite(satellite.grad).all()


@pytest.mark.parametrize("direction", list(Direction))
def test_gradients_agree_with_finite_differences(direction: Direction) -> None:
    satellite, ground = pairs(n=4, dim=3)
    masked = same_place(torch.tensor([[0], [1], [0], [2]]))
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)

    def loss(s: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return pooled_infonce(s, ground, k, direction=direction, masked=masked)

    assert torch.autograd.gradcheck(loss, (satellite.requires_grad_(), scale))
    assert torch.autograd.gradcheck(lambda s: cosine(s, ground), (satellite,))


def test_cosine_is_the_mean_distance() -> None:
    satellite, ground = pairs()
    expected = sum(1 - naive_sim(s, g) for s, g in zip(satellite, ground, strict=True)) / len(satellite)
    assert float(cosine(satellite, ground)) == pytest.approx(expected, rel=1e-9)


def test_equation_three_as_printed_repels_and_ours_attracts() -> None:
    satellite, ground = pairs()

    def after_descent(sign: float) -> float:
        s = satellite.clone().requires_grad_()
        for _ in range(50):
            objective = sign * torch.nn.functional.cosine_similarity(s, ground, dim=-1).sum()
            (slope,) = torch.autograd.grad(objective if sign > 0 else cosine(s, ground), s)
            s = (s - 0.5 * slope).detach().requires_grad_()
        return float(1 - cosine(s, ground))

    start = float(1 - cosine(satellite, ground))
    assert after_descent(+1.0) < start < after_descent(-1.0)


def test_fixed_temperature_goes_below_the_clamp_and_does_not_learn() -> None:
    temperature = Temperature(0.007)
    temperature.clamp()
    assert float(temperature()) == pytest.approx(1 / 0.007, rel=1e-5)
    assert not list(temperature.parameters())


def test_learned_temperature_is_clamped_on_both_sides() -> None:
    temperature = Temperature(0.07, learned=True)
    (log_scale,) = temperature.parameters()
    for value, expected in ((9.0, 100.0), (-3.0, 1.0)):
        with torch.no_grad():
            log_scale.fill_(value)
        temperature.clamp()
        assert float(temperature()) == pytest.approx(expected, rel=1e-5)
