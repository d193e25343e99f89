"""Sign-SGD on the puzzle table: only the rows in a batch are read and written."""

from torch import Tensor


def sign_sgd_(
    table: Tensor, ids: Tensor, gradient: Tensor, *, learning_rate: float, weight_decay: float
) -> None:
    """Update ``table`` [N, W] in place by sign-SGD with decoupled decay (authors'
    ``CastedSparseEmbeddingSignSGD``).

    :param ids: int64 [B], the row of each example; duplicates' gradients are summed before the sign
        is taken.
    :param gradient: float32 [B, W].
    """
    rows, where = ids.unique(return_inverse=True)
    summed = gradient.new_zeros(len(rows), gradient.shape[1]).index_add_(0, where, gradient)
    table[rows] = table[rows] * (1.0 - learning_rate * weight_decay) - learning_rate * summed.sign()
