"""One file a claim: each prints ratios from one run, against the raw driver and against what others would use."""
