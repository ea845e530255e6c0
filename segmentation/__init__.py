"""Day-and-night semantic segmentation: networks, training, evaluation."""
