"""Polynomials of the float functions, by scripts/fit_float_functions.py; never edited by hand."""

from novate.kernel import float_inline, fma

ERFCX_CENTRE = 3.5
ERFCX_SHIFT = 4.5


@float_inline
def pair_erfcx(y: float, z: float) -> tuple[float, float]:
    """Return P(y) and (P(y) - P(z)) / (y - z) for P(y(z)) = (z + shift) * erfcx(z)."""
    value = 3.612674055330333e-09
    slope = value
    value = fma(value, y, -2.5023168975682875e-09)
    slope = fma(slope, z, value)
    value = fma(value, y, -4.390833504984747e-08)
    slope = fma(slope, z, value)
    value = fma(value, y, 4.4274050574908624e-08)
    slope = fma(slope, z, value)
    value = fma(value, y, 3.090023158246529e-07)
    slope = fma(slope, z, value)
    value = fma(value, y, -5.196386820538034e-07)
    slope = fma(slope, z, value)
    value = fma(value, y, -1.616655978075675e-06)
    slope = fma(slope, z, value)
    value = fma(value, y, 5.156057863114001e-06)
    slope = fma(slope, z, value)
    value = fma(value, y, 4.34345858635496e-06)
    slope = fma(slope, z, value)
    value = fma(value, y, -4.2684631982797014e-05)
    slope = fma(slope, z, value)
    value = fma(value, y, 4.648154160819725e-05)
    slope = fma(slope, z, value)
    value = fma(value, y, 0.0002230538529853736)
    slope = fma(slope, z, value)
    value = fma(value, y, -0.000935072187265088)
    slope = fma(slope, z, value)
    value = fma(value, y, 0.0009191367221358533)
    slope = fma(slope, z, value)
    value = fma(value, y, 0.005077558809502971)
    slope = fma(slope, z, value)
    value = fma(value, y, -0.029704541463205263)
    slope = fma(slope, z, value)
    value = fma(value, y, 0.09396202368783994)
    slope = fma(slope, z, value)
    value = fma(value, y, -0.2220370048246203)
    slope = fma(slope, z, value)
    value = fma(value, y, 0.42879263412995067)
    slope = fma(slope, z, value)
    value = fma(value, y, -0.7044390677830077)
    slope = fma(slope, z, value)
    value = fma(value, y, 1.006088426996682)
    slope = fma(slope, z, value)
    value = fma(value, y, -1.2651900201974506)
    slope = fma(slope, z, value)
    value = fma(value, y, 1.411431476780256)
    slope = fma(slope, z, value)
    value = fma(value, y, -1.4023597364570055)
    slope = fma(slope, z, value)
    value = fma(value, y, 1.2423492448711544)
    return value, slope


@float_inline
def expand_exp(x: float) -> float:
    """Return exp(x) for |x| <= ln(2) / 2."""
    w = x * x
    even = 2.7632791582662336e-07
    even = fma(even, w, 2.4801485070974322e-05)
    even = fma(even, w, 0.0013888888952699812)
    even = fma(even, w, 0.04166666666648665)
    even = fma(even, w, 0.5000000000000019)
    even = fma(even, w, 1.0)
    odd = 2.5114995951301997e-08
    odd = fma(odd, w, 2.7557224578181578e-06)
    odd = fma(odd, w, 0.000198412699096288)
    odd = fma(odd, w, 0.008333333333309335)
    odd = fma(odd, w, 0.16666666666666702)
    odd = fma(odd, w, 1.0)
    return fma(odd, x, even)


@float_inline
def expand_log(x: float) -> float:
    """Return (2 artanh(s) - 2 s) / s^3 for x = s^2 <= 0.0295."""
    w = x * x
    even = 0.14618452072714802
    even = fma(even, w, 0.18182894320084278)
    even = fma(even, w, 0.2857142862645262)
    even = fma(even, w, 0.666666666666667)
    odd = 0.15331554743280912
    odd = fma(odd, w, 0.2222221106056441)
    odd = fma(odd, w, 0.3999999999989839)
    return fma(odd, x, even)
