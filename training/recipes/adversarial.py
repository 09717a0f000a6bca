"""Adversarial training: the loss must also be small where the embeddings are moved in the worst direction.

FGM (Miyato et al. 2017, arXiv:1605.07725) moves the table of word embeddings once, by ``epsilon`` along the normalised
gradient. PGD (Madry et al. 2018, arXiv:1706.06083) walks there in steps and stays within a ball. Both add the gradients of
the perturbed loss to those of the plain one, then put the table back bit for bit. FGM doubles the time of a step, PGD
multiplies it by ``steps + 1``.
"""

from dataclasses import dataclass

import torch

from training.hooks import Hook, StepContext


@dataclass(frozen=True)
class Fgm:
    """One step of fixed length."""

    epsilon: float = 0.5
    """Length of the step in the norm of the whole table's gradient. 0.1 to 1."""

    def hook(self) -> Hook:
        """What the trainer runs after each backward."""
        return lambda context: _perturbed(context, steps=1, step_length=self.epsilon, radius=self.epsilon)


@dataclass(frozen=True)
class Pgd:
    """Several shorter steps, projected back into a ball around the true embeddings."""

    radius: float = 0.5
    step_length: float = 0.25
    steps: int = 3

    def hook(self) -> Hook:
        """What the trainer runs after each backward."""
        return lambda context: _perturbed(
            context, steps=self.steps, step_length=self.step_length, radius=self.radius
        )


def _perturbed(context: StepContext, *, steps: int, step_length: float, radius: float) -> None:
    table = context.model.get_input_embeddings().weight
    if not isinstance(table, torch.nn.Parameter) or table.grad is None:
        return  # no gradient has reached the embeddings, so there is no worst direction
    original = table.detach().clone()
    plain = {name: p.grad.clone() for name, p in context.model.named_parameters() if p.grad is not None}
    direction = table.grad
    for step in range(steps):
        length = direction.norm()
        if not torch.isfinite(length) or length == 0:
            for name, parameter in context.model.named_parameters():
                parameter.grad = plain.get(name)  # what stands there by now was only to show the way
            break
        with torch.no_grad():
            table.add_(direction, alpha=step_length / float(length))
            offset = table - original
            table.copy_(original + offset * min(1.0, radius / float(offset.norm().clamp(min=1e-12))))
        last = step == steps - 1
        for name, parameter in context.model.named_parameters():
            if parameter.grad is not None:
                # Only the last point's gradients are added to the plain ones; those on the way show the direction.
                parameter.grad = plain[name].clone() if last else torch.zeros_like(parameter.grad)
        context.backward()
        direction = table.grad
    with torch.no_grad():
        table.copy_(original)
