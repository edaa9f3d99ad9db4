"""Which domain a picture is of."""

import torch

from models.metrics.domains import DomainClassifier, with_colors


def clouds(*counts: int, seed: int = 0) -> list[torch.Tensor]:
    """Features (N, 6) of three domains, each 3 standard deviations from the others, with scales of their own."""
    rng = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, 100.0, 0.01, 1.0, 1.0, 1.0])
    return [(torch.randn(count, 6, generator=rng) + 3 * torch.eye(6)[k]) * scale for k, count in enumerate(counts)]


def test_it_tells_domains_apart_that_it_has_not_seen():
    classifier = DomainClassifier(clouds(200, 200, 200))
    for k, features in enumerate(clouds(500, 500, 500, seed=1)):
        assert (classifier(features) == k).float().mean() > 0.9


def test_a_large_domain_counts_no_more_than_a_small_one():
    classifier = DomainClassifier(clouds(1000, 50, 50))
    shares = [float((classifier(some) == k).float().mean()) for k, some in enumerate(clouds(500, 500, 500, seed=1))]
    assert min(shares) > 0.85


def test_of_equal_features_colors_decide():
    def pictures(level: int) -> torch.Tensor:
        rng = torch.Generator().manual_seed(level)
        return torch.randint(level, level + 90, (40, 16, 16, 3), dtype=torch.uint8, generator=rng)

    same = torch.zeros(40, 4)
    domains = [with_colors(same, pictures(level)) for level in (0, 150)]
    assert domains[0].shape == (40, 4 + 192)
    classifier = DomainClassifier([features[:20] for features in domains])
    assert [classifier(features[20:]).unique().tolist() for features in domains] == [[0], [1]]
