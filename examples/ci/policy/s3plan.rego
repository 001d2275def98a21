# A policy of your own for plans, for Open Policy Agent or conftest:
#
#   s3plan show plan.json --json > plan-review.json
#   conftest test --policy policy plan-review.json
#
# s3plan's own limits (docs/review.md) are checked again when a plan is applied; this one is checked
# where you run it.
package main

import rego.v1

# Buckets that may be deleted.
deletable := {"old-photos", "old-logs"}

deny contains message if {
	some step in input.steps
	step.action.verb == "delete-bucket"
	not step.subject in deletable
	message := sprintf("the plan deletes the bucket %v", [step.subject])
}

deny contains message if {
	some step in input.steps
	step.reversibility == "never"
	message := sprintf("%v of %v cannot be undone", [step.action.verb, step.subject])
}

deny contains message if {
	input.header.cost.total.once.high > 100
	message := sprintf("the plan may cost $%v once", [input.header.cost.total.once.high])
}

warn contains message if {
	not input.header.cost
	message := "it is not known what the plan costs"
}

warn contains message if {
	some step in input.steps
	step.action.verb == "run-command"
	message := sprintf("the plan runs the command %v", [step.action.command.name])
}

warn contains message if {
	some step in input.steps
	step.action.verb == "delete"
	step.gate == null
	message := sprintf("%v deletes without a gate", [step.id])
}
