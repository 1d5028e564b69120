"""Whether a tokenizer writes numbers digit by digit."""

from collections.abc import Callable, Sequence


def single_digit_ids(encode: Callable[[str], Sequence[int]]) -> tuple[int, ...]:
    """Token ids of "0" to "9" where every number is written with them, one token a digit.

    The distribution over these ten is one of a digit's values only then: where "61" may be one
    token, as for Molmo-7B-O and MolmoE-1B, the probability of "6" is that of a number that ends
    there or goes on unusually.

    Args:
        encode: Text to token ids, nothing added.

    Returns:
        Ten ids, or none where a digit is no token or two of them may be joined.
    """
    digits = [tuple(encode(digit)) for digit in "0123456789"]
    if any(len(ids) != 1 for ids in digits):
        return ()
    # A tokenizer may join some pairs and not others.
    apart = all(tuple(encode(f"{n:02d}")) == digits[n // 10] + digits[n % 10] for n in range(100))
    return tuple(ids[0] for ids in digits) if apart and len(set(digits)) == 10 else ()
