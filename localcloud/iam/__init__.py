"""Who may do what, where IAM is enforced (`--enforce-iam`): identities, what a request needs, and the evaluator."""
