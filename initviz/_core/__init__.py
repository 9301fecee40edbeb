"""What every room uses: arguments, devices, batches, layers, statistics of one tensor, and putting a model back as it was."""
