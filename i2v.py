"""The package `i2v` of Illustration2Vec's authors, for code that was written for it."""

from pipeline.hair.illustration2vec import Illustration2Vec, make_i2v_with_chainer, make_i2v_with_onnx

__all__ = ["Illustration2Vec", "make_i2v_with_chainer", "make_i2v_with_onnx"]
