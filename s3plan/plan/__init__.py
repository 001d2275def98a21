"""Plans: drafts of steps, the plan file they are sealed into, reading it, and its digest."""

from s3plan.plan.digest import step_id
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile

__all__ = ["PlanFile", "StepDraft", "step_id"]
