"""Dates whose windows share sessions: the correlation of their CARs, and tests that account for it.

Two portfolios whose windows share sessions share the abnormal returns of these sessions, so their CARs
are correlated even if returns are independent over time. Standard errors for independent dates are
then too small. Autocorrelation-robust ones (Hansen and Hodrick 1980; Newey and West 1987) with normal
quantiles do not suffice: with few effective dates they still reject two to four times too often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eventstudy.core.abnormal import PeerWeights, ShockPortfolios
from eventstudy.core.arrays import Bools, Days, Floats, Places
from eventstudy.core.windows import NO_SESSION

#: Two portfolios with fewer common estimation days get correlation one, which is the cautious choice.
FEWEST_SHARED = 30
#: Number of pairs of dates whose common days are computed at a time.
CHUNK = 2_048


@dataclass(frozen=True, slots=True)
class DateOverlap:
    """The correlation matrix W of the CARs of K dates that follows from common sessions of their windows.

    Only pairs whose windows share a session are stored; W has ones on its diagonal and zeros elsewhere.

    Attributes
    ----------
    k : int
        Number of dates.
    early, late : (P,) int
        Indices of the two dates of each pair, every pair once.
    weight : (P,)
        w_jk: share of the window's sessions in common times the correlation of the two portfolios'
        residuals, which is near one if the peers are the same; between zero and one.
    """

    k: int
    early: Places
    late: Places
    weight: Floats

    @classmethod
    def none(cls, k: int) -> DateOverlap:
        """The overlap of dates whose windows share no session."""
        return cls(k, np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0))

    def __bool__(self) -> bool:
        """Whether any two windows share a session."""
        return len(self.early) > 0

    @property
    def total(self) -> float:
        """Sum of all entries of W."""
        return float(self.k + 2.0 * self.weight.sum())

    @property
    def k_eff(self) -> float:
        """K²/sum(W): number of dates without overlap whose mean would be equally precise."""
        return self.k**2 / self.total if self.k else 0.0

    @property
    def blocks(self) -> Places:
        """Block of each date, (K,): dates linked by chains of windows that share sessions."""
        if not self:
            return np.arange(self.k)
        shape = (self.k, self.k)
        links = sparse.coo_array((np.ones(len(self.early)), (self.early, self.late)), shape=shape)
        labels: Places = csgraph.connected_components(links, directed=False)[1].astype(np.intp)
        return labels

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of e'e, see `student`; K-1 without overlap."""
        if not self:
            return self.k - 1.0
        k, total = self.k, self.total
        expected = k - total / k
        if not expected > 1e-9 * k:
            return float("nan")
        rows = self.times(np.ones(k))
        trace = k + 2.0 * float(self.weight @ self.weight) - 2.0 * float(rows @ rows) / k + (total / k) ** 2
        return expected**2 / trace

    def times(self, values: Floats) -> Floats:
        """W times ``values``, both (K,)."""
        product = values + np.bincount(self.early, self.weight * values[self.late], self.k)
        return product + np.bincount(self.late, self.weight * values[self.early], self.k)

    def clustering(self, share: Floats) -> float:
        """Factor by which the sum of squared influences of K dates on a mean is multiplied to give its variance.

        Notes
        -----
        ``share`` (K,) are the weights a_k of the dates in the mean, with sum one. Influences are u_k = a_k (x_k -
        sum_j a_j x_j). If the x have the covariance sigma² W, the mean has the variance sigma² a'Wa, and the sum of
        the squares has the expectation sigma² sum_k a_k² (1 - 2 (Wa)_k + a'Wa). The ratio of the two is scaled so that
        it is K/(K-1) without overlap (Cameron and Miller 2015, eq. 12) for all weights. With equal weights the
        variance is sigma² sum(W)/K² as in `student`.
        """
        plain = self.k / (self.k - 1.0) if self.k > 1 else float("nan")
        if not self:
            return plain
        alone = DateOverlap.none(self.k)
        return plain * self._ratio(share) / alone._ratio(share)

    def _ratio(self, share: Floats) -> float:
        product = self.times(share)
        square = float(share @ product)
        expected = float(share**2 @ (1.0 - 2.0 * product + square))
        return square / expected if expected > 1e-9 * float(share @ share) else float("nan")

    def inflation(self, count: Floats) -> float:
        """Variance of a mean with weights ``count`` n_k, divided by that without overlap: n'Wn / n'n."""
        square = float(count @ count)
        cross = float((count[self.early] * count[self.late]) @ self.weight)
        return 1.0 + 2.0 * cross / square if self and square > 0 else 1.0

    def student(self, values: Floats) -> tuple[float, float]:
        """Test statistic of a mean of zero and its degrees of freedom; ``values`` (K,) has one CAR for each date.

        Notes
        -----
        With e the deviations from the mean and S the sum of W, sigma² = e'e/(K - S/K) is unbiased
        if the values have the covariance sigma² W, and t = sum(values)/sqrt(sigma² S). The degrees
        of freedom are Satterthwaite's (1946) of e'e: tr(MW)²/tr(MWMW) with M = I - 11'/K, where
        tr(MW) = K - S/K and tr(MWMW) = tr(WW) - 2 r'r/K + S²/K², r the row sums of W. The covariance from common
        sessions follows Kolari, Pape and Pynnönen (2018). Without overlap it is the plain t with K-1 degrees of
        freedom. NaN if the values do not vary.
        """
        k, total = len(values), self.total
        if not self:
            se = values.std(ddof=1) / np.sqrt(k) if k > 1 else 0.0
            return (float(values.mean() / se) if se > 0 else float("nan")), k - 1.0
        spread = self.spread(values)
        if not spread > 0:
            return float("nan"), float("nan")
        return float(values.sum() / (spread * np.sqrt(total))), self.df

    def spread(self, values: Floats) -> float:
        """Standard deviation of one date's value, sqrt(e'e/(K - sum(W)/K)); that of the mean is smaller by
        sqrt(k_eff)."""
        k = len(values)
        deviation = values - values.mean()
        expected = k - self.total / k
        return float(np.sqrt(deviation @ deviation / expected)) if expected > 1e-9 * k else float("nan")


def clustered(values: Floats, blocks: Places) -> float:
    """t of the mean with blocks of dates as clusters; its standard error is sqrt(B/(B-1) sum_b (sum_k e_k)²)/K.

    With one date in each block it is the plain t.
    """
    sums = np.bincount(blocks, values - values.mean())
    b = len(sums)
    if b < 2:
        return float("nan")
    se = np.sqrt(b / (b - 1.0) * float(sums @ sums)) / len(values)
    return float(values.mean() / se) if se > 0 else float("nan")


def date_overlap(portfolios: ShockPortfolios, peers: PeerWeights, inside: Bools) -> DateOverlap:
    """W of a sample's portfolios over the event days ``inside`` the window, (L2,)."""
    window, k = _sessions(portfolios)[:, inside], len(portfolios)
    if _apart(window):
        return DateOverlap.none(k)
    early, late, share = shared_sessions(window)
    return DateOverlap(k, early, late, share * _alike(portfolios, peers, early, late))


def growing_overlap(portfolios: ShockPortfolios, peers: PeerWeights) -> list[DateOverlap]:
    """W of the windows that begin with the first event day and end with each one, (L2,).

    The correlations of the portfolios' residuals are those of `date_overlap`; they do not depend on the window.
    """
    window, k = _sessions(portfolios), len(portfolios)
    if _apart(window):
        return [DateOverlap.none(k)] * window.shape[1]
    early, late, _ = shared_sessions(window)
    alike, width = _alike(portfolios, peers, early, late), window.shape[1]
    days, code = np.unique(window, return_inverse=True)
    place = np.full((k, len(days)), width)
    place[np.arange(k)[:, None], code.reshape(window.shape)] = np.arange(width)
    place[:, days == NO_SESSION] = width
    # Two windows share a session from the later of the two event days on.
    since = np.maximum(np.arange(width), place[late[:, None], code.reshape(window.shape)[early]])
    common = ((since <= day).sum(axis=1) for day in range(width))
    pairs = [(n > 0, n / (day + 1) * alike) for day, n in enumerate(common)]
    return [DateOverlap(k, early[some], late[some], weight[some]) for some, weight in pairs]


def _sessions(portfolios: ShockPortfolios) -> Days:
    """Session of each event day, (K, L2): the earliest over the portfolio's peers, which may have several exchanges."""
    return _earliest(portfolios.abnormal.panel.event_sessions[portfolios.members], portfolios.starts)


def _alike(portfolios: ShockPortfolios, peers: PeerWeights, early: Places, late: Places) -> Floats:
    estimation = _earliest(portfolios.abnormal.panel.estimation_sessions[portfolios.members], portfolios.starts)
    return likeness(np.where(peers.used, peers.residual, np.nan), estimation, early, late)


def _apart(window: Days) -> bool:
    """Whether no two of the (K, L) windows can share a session, by their ends."""
    if len(window) < 2:
        return True
    first = np.argsort(window[:, 0], kind="stable")
    begin, end = window[first, 0], np.maximum.accumulate(window[first].max(axis=1))
    return bool((begin[1:] > end[:-1]).all())


def _earliest(sessions: Days, starts: Places) -> Days:
    """Earliest session of each day over the members of each portfolio, (n, L) to (K, L)."""
    never = np.iinfo(np.int32).max
    first = np.minimum.reduceat(np.where(sessions == NO_SESSION, never, sessions), starts, axis=0)
    return np.where(first == never, NO_SESSION, first).astype(np.int32)


def shared_sessions(window: Days) -> tuple[Places, Places, Floats]:
    """Pairs of rows of (K, W) sessions with common sessions, and the common share, as three arrays (P,)."""
    k, width = window.shape
    # Days after the end of the prices are no sessions, so windows cannot share them.
    rows, at = np.nonzero(window != NO_SESSION)
    days, code = np.unique(window[rows, at], return_inverse=True)
    held = sparse.csr_array((np.ones(len(rows)), (rows, code)), shape=(k, len(days)))
    common = sparse.triu(held @ held.T, k=1).tocoo()
    order = np.lexsort((common.col, common.row))
    early, late = common.row[order].astype(np.intp), common.col[order].astype(np.intp)
    return early, late, common.data[order] / width


def likeness(residual: Floats, sessions: Days, early: Places, late: Places) -> Floats:
    """Uncentred correlation (P,) of the residuals of pairs of portfolios on their common calendar sessions.

    ``residual`` (K, L1) is NaN if missing, ``sessions`` are their days. Negative values are set to zero; the
    correlation is one if fewer than `FEWEST_SHARED` sessions are shared.
    """
    used = np.isfinite(residual) & (sessions != NO_SESSION)
    days, code = np.unique(sessions[used], return_inverse=True)
    row = np.nonzero(used)[0]
    value, there = np.zeros((len(residual), len(days))), np.zeros((len(residual), len(days)))
    value[row, code], there[row, code] = residual[used], 1.0
    found = np.empty(len(early))
    for start in range(0, len(early), CHUNK):
        at = slice(start, start + CHUNK)
        one, other = value[early[at]], value[late[at]]
        common = there[early[at]] * there[late[at]]
        size = np.vecdot(one * one, common) * np.vecdot(other * other, common)
        with np.errstate(divide="ignore", invalid="ignore"):
            alike = np.vecdot(one, other) / np.sqrt(size)
        enough = (common.sum(axis=1) >= FEWEST_SHARED) & (size > 0)
        found[at] = np.where(enough, np.clip(alike, 0.0, 1.0), 1.0)
    return found
