"""What CloudFormation templates cost a month, and what a change of them changes.

    files, a cdk.out, a deployed stack ─► Template ─► intrinsics resolved ─► charges ─► difference

Rates are the price snapshot's. What has no rate there is unpriced, what follows from use is told by its rate, and
neither is counted as nothing.
"""
