"""Every preset, each a function that returns a whole configuration. `--set a.b=value` changes one field of one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from synth.acquisition import Acquisition
from synth.body.arms import ArmPose
from synth.body.child import ChildShape
from synth.body.legs import LegPose
from synth.body.pose import BodyPose
from synth.body.shape import BodyShape
from synth.domain.anatomy import anatomy_named
from synth.figure import BodyRange, HandRange, RenderRecipe
from synth.phantom import PhantomRecipe, body_phantoms, hand_phantoms
from synth.shifts import Shifts
from training.models import ModelRecipe
from training.recipe import TrainRecipe, paper_training
from training.views import body_views, hand_views
from tuning.schedule import Schedule, Search, SweepRecipe, around, paper_schedule


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The whole configuration for hands or bodies, from shapes to fine-tuning schedules.

    anatomy: its base says which; render.anatomy and phantom.anatomy may have landmarks of their own
    render: what is rendered; its crop holds for scans too
    model, train: the network and its pre-training; sweep: fine-tuning on a study; phantom: virtual patients
    """

    anatomy: str
    render: RenderRecipe
    model: ModelRecipe
    train: TrainRecipe
    sweep: SweepRecipe
    phantom: PhantomRecipe

    def __post_init__(self) -> None:
        base = anatomy_named(self.anatomy).base
        for part, name in (("render", self.render.anatomy), ("phantom", self.phantom.anatomy)):
            if anatomy_named(name).base != base:
                raise ValueError(f"recipe is for {self.anatomy}, but {part}.anatomy is {name}")
        foreign = self.train.views.hand_only if base == "body" else self.train.views.body_only
        if foreign:
            raise ValueError(f"recipe is for {self.anatomy}, but train.views has {', '.join(foreign)}")


def _schedules() -> tuple[Schedule, ...]:
    """A small grid: how long, how fast, what stays as pre-trained; the least is to learn the labels' convention."""
    return (
        Schedule(name="gentle", epochs=40, rate=1e-4, augment=0.5),
        Schedule(name="brisk", epochs=40, rate=1e-3, augment=0.5),
        Schedule(name="head_only", epochs=40, rate=1e-3, freeze="features", augment=0.5),
        Schedule(name="convention", epochs=1, freeze="all"),
    )


def _around_paper() -> tuple[Schedule, ...]:
    """The published schedule, and with one thing changed at a time: 17 schedules."""
    return around(
        paper_schedule(),
        {
            "epochs": (350, 1400),
            "rate": (0.003, 0.03),
            "milestones": ((), (350,)),
            "factor": (0.3, 0.03),
            "momentum": (0.8, 0.95),
            "weight_decay": (1e-4, 1e-3),
            "freeze": ("encoder", "features"),
            "optimiser": ("adamw",),
            "augment": (0.5,),
        },
    )


# CNN(study) starts from fresh weights: it gets five times the passes and smaller batches than fine-tuning.
_SCRATCH = Schedule(name="scratch", epochs=200, batch=10, rate=3e-3, augment=0.5)


_NETWORK = ModelRecipe(network="heatmap", inputs=("silhouette", "observed"))


def _leave_one_out() -> SweepRecipe:
    return SweepRecipe(schedules=_schedules(), folds="leave_one_out", scratch=_SCRATCH)


def hand() -> Recipe:
    """Our best for hands: 96 x 96, heatmap network."""
    return Recipe(
        anatomy="hand",
        render=RenderRecipe(anatomy="hand", hand=HandRange()),
        model=_NETWORK,
        train=TrainRecipe(augment=0.5, views=hand_views()),
        sweep=SweepRecipe(schedules=_schedules(), folds=3, scratch=_SCRATCH),
        phantom=hand_phantoms(),
    )


def body() -> Recipe:
    """Our best for whole bodies: 160 x 76, heatmap network."""
    return Recipe(
        anatomy="body",
        render=RenderRecipe(anatomy="body", body=BodyRange(), shard_rows=256),
        model=_NETWORK,
        train=TrainRecipe(augment=0.5, views=body_views()),
        sweep=SweepRecipe(schedules=_schedules(), folds=3, scratch=_SCRATCH),
        phantom=body_phantoms(),
    )


def hand_paper() -> Recipe:
    """The published settings for hands: Table 1, 30 epochs of SGD, one fine-tuning schedule, 3 folds."""
    sweep = SweepRecipe(schedules=(paper_schedule(),), folds=3)
    return replace(hand(), model=ModelRecipe(network="paper"), train=paper_training(), sweep=sweep)


def paper_body_pose() -> BodyPose:
    """The published prior of bodies lying in CT: arms down and close, legs slightly spread, feet arbitrary.

    Source: Riegler et al. 2015, section 4: hands close to the body; the legs vary most; no ranges are printed.
    """
    arms = ArmPose(
        belly=0.0, up=0.0, one_up=0.0, hip=0.0, clavicle=(0.0, 8.0), abduction=(3.0, 20.0), elbow=(5.0, 30.0),
        half=0.0, fist=0.0,
    )  # fmt: skip
    legs = LegPose(rest=0.0, crossed=0.0, contracted=0.0, heels_mm=(0.0, 450.0))
    return BodyPose(
        arms=arms, legs=legs, head_turn=(-25.0, 25.0), head_flexion=(0.0, 25.0), head_tilt=(-8.0, 8.0),
        bend=(-6.0, 6.0), roll=(-6.0, 6.0), flesh=(0.0, 0.0),
    )  # fmt: skip


def body_paper() -> Recipe:
    """The published settings for bodies: as for hands, but leave one subject out.

    Shapes are plain draws of the body model's parameters: people vary in age, gender, size and weight.
    """
    sweep = SweepRecipe(schedules=(paper_schedule(),), folds="leave_one_out")
    paper = BodyRange(shape=BodyShape(), pose=paper_body_pose())
    render = replace(body().render, body=paper)
    return replace(body(), render=render, model=ModelRecipe(network="paper"), train=paper_training(), sweep=sweep)


def body_fine() -> Recipe:
    """As `body`, at half the pixel: 320 x 152, four times the work."""
    whole = body()
    return replace(
        whole,
        render=replace(whole.render, anatomy="body_fine"),
        phantom=replace(whole.phantom, anatomy="body_fine"),
    )


def body_child() -> Recipe:
    """Children from 2 to 16 years; all else as `body`."""
    return replace(body(), render=replace(body().render, body=BodyRange(shape=ChildShape())))


def hand_smoke() -> Recipe:
    """Hands in minutes on two cores: what the demo and a first look need."""
    return replace(hand(), train=replace(hand().train, epochs=6))


def body_smoke() -> Recipe:
    """Bodies in minutes on two cores."""
    return replace(body(), train=replace(body().train, epochs=6))


def hand_grid() -> Recipe:
    """As `hand_paper`, with a grid around the published schedule, one thing changed at a time."""
    paper = hand_paper()
    return replace(paper, sweep=replace(paper.sweep, schedules=_around_paper()))


def body_grid() -> Recipe:
    """As `body_paper`, with a grid around the published schedule, one thing changed at a time."""
    paper = body_paper()
    return replace(paper, sweep=replace(paper.sweep, schedules=_around_paper()))


def hand_search() -> Recipe:
    """As `hand`, with 20 more schedules proposed by Optuna."""
    return replace(hand(), sweep=replace(hand().sweep, search=Search()))


def body_search() -> Recipe:
    """As `body`, with 20 more schedules proposed by Optuna."""
    return replace(body(), sweep=replace(body().sweep, search=Search()))


def hand_nested() -> Recipe:
    """As `hand`, by nested cross-validation: for each fold the schedule is chosen on 3 inner folds."""
    return replace(hand(), sweep=replace(hand().sweep, inner_folds=3))


def body_nested() -> Recipe:
    """As `body`, by nested cross-validation: for each fold the schedule is chosen on 3 inner folds."""
    return replace(body(), sweep=replace(body().sweep, inner_folds=3))


def hand_virtual_study() -> Recipe:
    """The paper's hand study with virtual patients: 263 MR volumes of 132 people, 3 folds."""
    shifts = Shifts(unequal_limbs=0.1, swollen_joints=0.15, ulnar_deviation=0.1, short_finger=0.05)
    phantom = replace(
        hand_phantoms(), count=263, coarser=(1.5, 4.0), shifts=shifts, acquisition=Acquisition(oblique=0.3)
    )
    return replace(hand(), phantom=phantom)


def hand_virtual_dev() -> Recipe:
    """Hands to tune on, seed 1: as the study, and volumes that end early; --set turns each shift on or off."""
    study = hand_virtual_study()
    shifts = replace(study.phantom.shifts, field_of_view=0.2)
    return replace(study, phantom=replace(study.phantom, count=100, shifts=shifts))


def hand_virtual_test() -> Recipe:
    """Hands for reported results, seeds 1001 to 1004: frozen by tests/pipelines/test_frozen.py, never tuned on."""
    return hand_virtual_dev()


def body_virtual_study() -> Recipe:
    """The paper's body study with virtual patients: CT volumes of 14 women and 6 men, leave one out."""
    shifts = Shifts(flattening=0.5, obesity=0.1, knee_rest=0.2, belly_hands=0.1, scoliosis=0.1, unequal_limbs=0.15)
    phantom = replace(body_phantoms(), spacing_mm=(2.5, 2.5, 4.0), coarser=(1.6, 2.0), shifts=shifts)
    return replace(body(), phantom=phantom, sweep=_leave_one_out())


def body_virtual_dev() -> Recipe:
    """Bodies to tune on, seed 1: as the study, and volumes that end early; --set turns each shift on or off."""
    study = body_virtual_study()
    shifts = replace(study.phantom.shifts, field_of_view=0.2)
    sweep = replace(study.sweep, folds=20)
    return replace(study, phantom=replace(study.phantom, count=100, shifts=shifts), sweep=sweep)


def body_virtual_test() -> Recipe:
    """Bodies for reported results, seeds 1001 to 1004: frozen by tests/pipelines/test_frozen.py, never tuned on."""
    return body_virtual_dev()


RECIPES: dict[str, Callable[[], Recipe]] = {
    recipe.__name__: recipe
    for recipe in (
        hand_paper, body_paper, hand, body, body_fine, body_child, hand_smoke, body_smoke, hand_grid, body_grid,
        hand_search, body_search, hand_nested, body_nested, hand_virtual_study, body_virtual_study,
        hand_virtual_dev, body_virtual_dev, hand_virtual_test, body_virtual_test,
    )
}  # fmt: skip
