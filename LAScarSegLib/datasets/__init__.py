"""Scans on disk: LAScarQS, the 2018 challenge, pairs, nnU-Net's folders, phantoms, the sample; found and written in one place."""
