"""Cases with no slope: saddles, minima and flats."""

from functools import partial

import torch
from torch.nn import ReLU
from torch.nn.utils import vector_to_parameters

from lib.diagnosis.cases.ground import Case, confirm, frequencies, go_on, images, make
from lib.diagnosis.result import Verdict
from lib.hessian import find_minimum, flat_loss, gradient, hessian
from lib.losses import cross_entropy, mse, sigmoid, softmax
from lib.training import train

# c in c/2 theta squared, without which there is no minimum at a finite theta
DECAY = {"mlp": 1e-3, "convnet": 1e-3, "transformer": 6e-3}


def saddle(network, seed):
    """All weights zero; or some hidden units, in and out, with the rest at a minimum."""
    x, label = images()
    model = make(network, seed, wide=seed % 6 < 3)
    if seed % 6 < 3:
        with torch.no_grad():
            # Normalised values are never zero: of a transformer it is the last norm that is.
            for part in [model[-3].norms[1], model[-1]] if network == "transformer" else [model]:
                for p in part.parameters():
                    p.zero_()
            model[-1].bias.copy_(frequencies(label))
        c = 0.0
    else:
        c = 1e-3
        settle(upper(model), c, x, label, held=silence(model))
    g, evals = derivatives(model, c, x, label, whole=seed % 6 >= 3)
    confirm(g < 1e-6, f"the gradient is {g:.1e}")
    confirm(evals[0] < -1e-4 * evals[-1], f"the lowest eigenvalue is {evals[0]:.1e}")
    return resting(Verdict.SADDLE, model, c, x, label, seed)


def minimum(network, seed):
    """With weight decay, every eigenvalue positive; or labels that are the network's own output.

    Of those no other output has a lower cross-entropy (Gibbs), and it is above zero.
    """
    x, label = images()
    model = make(network, seed)
    if seed % 6 < 3:
        c = DECAY[network]
        settle(upper(model), c, x, label)
    else:
        c = 0.0
        train(model, cross_entropy, x, label, partial(torch.optim.Adam, lr=0.01), epochs=100)
        label = softmax(model(x)).detach()
    g, evals = derivatives(model, c, x, label)
    confirm(g < 1e-9, f"the gradient is {g:.1e}")
    confirm(evals[0] > (1e-5 if c else -1e-12), f"the lowest eigenvalue is {evals[0]:.1e}")
    return resting(Verdict.MINIMUM, model, c, x, label, seed)


def flat(network, seed):
    """Squared error after a saturated softmax; or units that are dead, or outputs that saturate."""
    x, label = images(torch.float32)
    if seed % 6 < 3:
        model = make(network, seed, wide=True, dtype=torch.float32)
        loss_fn = squared_softmax
        with torch.no_grad():
            model[-1].bias[seed % 10] = 20
    elif network == "transformer":
        model = make(network, seed, wide=True, dtype=torch.float32)
        loss_fn = squared_sigmoid
        with torch.no_grad():
            model[-1].bias.fill_(20)
    else:
        model = make(network, seed, wide=True, activation=ReLU, dtype=torch.float32)
        loss_fn = cross_entropy
        with torch.no_grad():
            model[0 if network == "mlp" else 1].bias.fill_(-10)
            model[-1].bias.copy_(frequencies(label))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    history = train(model, loss_fn, x, label, optimizer, epochs=40)
    case = Case(Verdict.FLAT, model, loss_fn, [(x, label)], history, optimizer)
    for lr_factor in (0.1, 1, 10):
        loss = go_on(case, 100, lr_factor)
        confirm(loss[-1] > 0.999 * loss[0], f"the loss falls to {loss[-1]:.3g}")
    return case


def squared_softmax(output, label):
    return mse(softmax(output), label)


def squared_sigmoid(output, label):
    return mse(sigmoid(output), label)


def resting(truth, model, c, x, label, seed):
    """The weight decay stands in the loss for even seeds, in the optimizer for odd ones."""

    def with_decay(output, label):
        squares = sum(p.square().sum() for p in model.parameters() if p.requires_grad)
        return cross_entropy(output, label) + c / 2 * squares

    inside = seed % 2 == 0
    params = model.parameters()
    optimizer = torch.optim.SGD(params, lr=0.1, weight_decay=0 if inside else c)
    # Whole batches and small ones: noise moves no critical point of the whole loss.
    data = [(x, label)] if seed % 3 else list(zip(x.split(40), label.split(40), strict=True))
    loss_fn = with_decay if inside else cross_entropy
    return Case(truth, model, loss_fn, data, None, optimizer)


def upper(model):
    """Of a transformer train the upper half alone: it comes to rest in few Newton steps."""
    if len(model) == 4:
        kept = {id(p) for part in (model[1].network, model[-1]) for p in part.parameters()}
        for p in model.parameters():
            p.requires_grad_(id(p) in kept)
    return model


def silence(model):
    """Make hidden units zero, in and out, and say where they are among the trained parameters.

    A third of them are; in a transformer all of its hidden layer, beside which values still pass.
    """
    first, last, share = model[-3 if len(model) == 3 else 1], model[-1], 3
    if hasattr(first, "network"):
        first, last, share = first.network[0], first.network[2], 1
    hidden = len(first.bias)
    keep = hidden - hidden // share
    units = last.weight.shape[1] // hidden  # columns a hidden unit has in the next layer
    silent = [first.weight[keep:], first.bias[keep:], last.weight[:, keep * units :]]
    trained = [p for p in model.parameters() if p.requires_grad]
    marks = {id(p): torch.zeros_like(p, dtype=torch.bool) for p in trained}
    marks[id(first.weight)][keep:] = True
    marks[id(first.bias)][keep:] = True
    marks[id(last.weight)][:, keep * units :] = True
    with torch.no_grad():
        for part in silent:
            part.zero_()
    return torch.cat([marks[id(p)].reshape(-1) for p in trained])


def settle(model, c, x, label, held=None):
    """Bring a model to rest at a minimum over the parameters that are not held."""
    loss, theta = flat_loss(model, cross_entropy, x, label)
    free = torch.ones_like(theta, dtype=torch.bool) if held is None else ~held

    def objective(z):
        whole = theta.clone().masked_scatter(free, z)
        return loss(whole) + c / 2 * (whole @ whole)

    z = theta[free].clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=0.03)
    for _ in range(400):
        (z.grad,) = torch.autograd.grad(objective(z), z)
        adam.step()
    found = find_minimum(objective, z.detach(), steps=60, tol=1e-10)
    confirm(found.converged, f"Newton steps end at {found.gradient_norm:.1e}")
    trained = [p for p in model.parameters() if p.requires_grad]
    vector_to_parameters(theta.masked_scatter(free, found.theta), trained)


def derivatives(model, c, x, label, whole=True):
    """Length of the gradient of the objective, and its Hessian's eigenvalues, computed densely."""
    loss, theta = flat_loss(model, cross_entropy, x, label)

    def objective(theta):
        return loss(theta) + c / 2 * (theta @ theta)

    g = gradient(objective, theta).norm().item()
    return g, torch.linalg.eigvalsh(hessian(objective, theta, chunk=64))
