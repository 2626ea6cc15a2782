"""The transformer, held against PyTorch's own encoder layer."""

import pytest
import torch

from lib.training import transformer


def torch_layer(block, norm_first):
    """torch's encoder layer with the parameters of one of ours."""
    layer = torch.nn.TransformerEncoderLayer(
        32, 4, 64, dropout=0, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    pairs = [
        (layer.self_attn.in_proj_weight, block.queries_keys_values.weight),
        (layer.self_attn.in_proj_bias, block.queries_keys_values.bias),
        (layer.self_attn.out_proj.weight, block.mix_heads.weight),
        (layer.self_attn.out_proj.bias, block.mix_heads.bias),
        (layer.linear1.weight, block.network[0].weight),
        (layer.linear1.bias, block.network[0].bias),
        (layer.linear2.weight, block.network[2].weight),
        (layer.linear2.bias, block.network[2].bias),
        (layer.norm1.weight, block.norms[0].weight),
        (layer.norm1.bias, block.norms[0].bias),
        (layer.norm2.weight, block.norms[1].weight),
        (layer.norm2.bias, block.norms[1].bias),
    ]
    with torch.no_grad():
        for theirs, ours in pairs:
            ours.add_(0.1 * torch.randn_like(ours))  # no norm left at 1, no bias at 0
            theirs.copy_(ours)
    return layer


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_layers_equal_those_of_torch(norm_first):
    torch.manual_seed(0)
    model = transformer(8, 8, 10, layers=2, norm_first=norm_first, dtype=torch.float64)
    x = torch.randn(5, 64, dtype=torch.float64)
    h = model[0].embed(x.view(5, 8, 8)) + model[0].position
    torch.testing.assert_close(model[0](x), h)
    for block in model[1:3]:
        h = torch_layer(block, norm_first)(h)
    torch.testing.assert_close(model[:-2](x), h)
    torch.testing.assert_close(model(x), model[-1](h.mean(1)))


def test_transformer_is_ruled_by_its_seed_alone():
    before = torch.random.get_rng_state()
    first, same, other = (transformer(2, 4, 3, layers=1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(first.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[-1].weight, other[-1].weight)


def test_transformer_has_the_sizes_and_type_asked_for():
    model = transformer(4, 3, 5, layers=3, width=6, heads=2, hidden=7, dtype=torch.float64)
    assert len(model) == 3 + 3
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    x = torch.ones(2, 12, dtype=torch.float64)
    assert model[:-1](x).shape == (2, 6)
    assert model(x).shape == (2, 5)


def test_transformer_names_what_it_refuses():
    with pytest.raises(ValueError, match="heads must divide width, 32, got 5"):
        transformer(8, 8, 10, heads=5)
    with pytest.raises(ValueError, match="layers"):
        transformer(8, 8, 10, layers=0)
    with pytest.raises(TypeError, match="hidden"):
        transformer(8, 8, 10, hidden=1.5)
