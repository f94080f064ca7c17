"""The simulated cloud: Bedrock's API in front, a brain behind, an accelerator's time on a simulated clock."""
