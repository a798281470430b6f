"""Formulas that people use, with the ranges of their variables: what every mode of every target is tried on.

Formulas and ranges are facts, restated here in our own notation. Physics: after the AI Feynman database (S.-M. Udrescu
and M. Tegmark, Science Advances 6, eaay2631, 2020), whose equation numbers are those of the Feynman Lectures; B1 to B20
are its bonus equations. Optimisation: after M. Jamil and X.-S. Yang, A literature survey of benchmark functions (2013),
and S. Surjanovic and D. Bingham, Virtual Library of Simulation Experiments. The others name their source in each line.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    name: str
    text: str  # in the language of symgrad.parse
    ranges: dict[str, tuple[float, float]]  # of every variable: away from poles, and kinks have measure zero
    source: str
    group: str
    hard: str = ""  # where this is not empty: why floats lose digits here when the formula is computed as it stands


def points(case: Case, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`n` points, uniform in the ranges, the same on every machine: {variable: float64 array of shape (n,)}."""
    generator = np.random.default_rng([zlib.crc32(case.name.encode()), seed])
    return {name: generator.uniform(low, high, n) for name, (low, high) in case.ranges.items()}


def _case(group: str, name: str, source: str, text: str, ranges: str, hard: str = "") -> Case:
    """Ranges are written "x y 1..5, z -2..2"."""
    intervals: dict[str, tuple[float, float]] = {}
    for entry in ranges.split(","):
        *names, interval = entry.split()
        low, high = interval.split("..")
        intervals |= dict.fromkeys(names, (float(low), float(high)))
    return Case(name, text, intervals, source, group, hard)


_PHYSICS = [
    ("gauss", "I.6.2", "exp(-(theta/sigma)**2/2)/(sqrt(2*pi)*sigma)", "theta sigma 1..3"),
    ("gauss_shifted", "I.6.2b", "exp(-((theta - theta1)/sigma)**2/2)/(sqrt(2*pi)*sigma)", "theta theta1 sigma 1..3"),
    ("distance", "I.8.14", "sqrt((x2 - x1)**2 + (y2 - y1)**2)", "x1 x2 y1 y2 1..5"),
    (
        "gravitation",
        "I.9.18",
        "G*m1*m2/((x2 - x1)**2 + (y2 - y1)**2 + (z2 - z1)**2)",
        "G m1 m2 x2 y2 z2 1..2, x1 y1 z1 3..4",
    ),
    ("relativistic_mass", "I.10.7", "m_0/sqrt(1 - v**2/c**2)", "m_0 1..5, v 1..2, c 3..10"),
    ("dot_product", "I.11.19", "x1*y1 + x2*y2 + x3*y3", "x1 x2 x3 y1 y2 y3 1..5"),
    ("coulomb", "I.12.2", "q1*q2/(4*pi*epsilon*r**2)", "q1 q2 epsilon r 1..5"),
    ("lorentz_force", "I.12.11", "q*(Ef + B*v*sin(theta))", "q Ef B v theta 1..5"),
    ("potential_difference", "I.13.12", "G*m1*m2*(1/r2 - 1/r1)", "G m1 m2 r1 r2 1..5"),
    ("lorentz_place", "I.15.3x", "(x - u*t)/sqrt(1 - u**2/c**2)", "x 5..10, u t 1..2, c 3..20"),
    ("lorentz_time", "I.15.3t", "(t - u*x/c**2)/sqrt(1 - u**2/c**2)", "x t 1..5, u 1..2, c 3..10"),
    ("velocity_addition", "I.16.6", "(u + v)/(1 + u*v/c**2)", "c u v 1..5"),
    ("centre_of_mass", "I.18.4", "(m1*r1 + m2*r2)/(m1 + m2)", "m1 m2 r1 r2 1..5"),
    ("torque", "I.18.12", "r*F*sin(theta)", "r F 1..5, theta 0..5"),
    ("oscillator_energy", "I.24.6", "m*(omega**2 + omega_0**2)*x**2/4", "m omega omega_0 x 1..3"),
    ("snell", "I.26.2", "asin(n*sin(theta2))", "n 0..1, theta2 1..5"),
    ("lens", "I.27.6", "1/(1/d1 + n/d2)", "d1 d2 n 1..5"),
    ("interference", "I.29.16", "sqrt(x1**2 + x2**2 - 2*x1*x2*cos(theta1 - theta2))", "x1 x2 theta1 theta2 1..5"),
    ("grating", "I.30.3", "Int_0*sin(n*theta/2)**2/sin(theta/2)**2", "Int_0 theta n 1..5"),
    ("bragg", "I.30.5", "asin(lambd/(n*d))", "lambd 1..2, d 2..5, n 1..5"),
    (
        "scattered_light",
        "I.32.17",
        "(epsilon*c*Ef**2/2)*(8*pi*r**2/3)*omega**4/(omega**2 - omega_0**2)**2",
        "epsilon c Ef r omega 1..2, omega_0 3..5",
    ),
    ("doppler", "I.34.14", "(1 + v/c)/sqrt(1 - v**2/c**2)*omega_0", "c 3..10, v 1..2, omega_0 1..5"),
    ("two_beams", "I.37.4", "I1 + I2 + 2*sqrt(I1*I2)*cos(delta)", "I1 I2 delta 1..5"),
    ("gas_energy", "I.39.11", "pr*V/(gamma - 1)", "gamma 2..5, pr V 1..5"),
    ("barometer", "I.40.1", "n_0*exp(-m*g*x/(kb*T))", "n_0 m g x kb T 1..5"),
    (
        "black_body",
        "I.41.16",
        "h*omega**3/(2*pi**3*c**2*(exp(h*omega/(2*pi*kb*T)) - 1))",
        "h omega c 1..5, kb T 1..2",
    ),
    ("isothermal_work", "I.44.4", "n*kb*T*log(V2/V1)", "n kb T V1 V2 1..5"),
    ("sound_speed", "I.47.23", "sqrt(gamma*pr/rho)", "gamma pr rho 1..5"),
    ("anharmonic", "I.50.26", "x1*(cos(omega*t) + alpha*cos(omega*t)**2)", "x1 omega t alpha 1..3"),
    ("dipole_potential", "II.6.11", "p_d*cos(theta)/(4*pi*epsilon*r**2)", "p_d epsilon theta r 1..3"),
    ("dipole_field", "II.6.15a", "3*p_d*z*sqrt(x**2 + y**2)/(4*pi*epsilon*r**5)", "p_d epsilon r x y z 1..3"),
    (
        "driven_oscillator",
        "II.11.3",
        "q*Ef/(m*(omega_0**2 - omega**2))",
        "q Ef m 1..3, omega_0 3..5, omega 1..2",
    ),
    ("polar_gas", "II.11.17", "n_0*(1 + p_d*Ef*cos(theta)/(kb*T))", "n_0 p_d Ef theta kb T 1..3"),
    ("clausius_mossotti", "II.11.28", "1 + n*alpha/(1 - n*alpha/3)", "n alpha 0..1"),
    ("wire_field", "II.13.17", "2*I/(4*pi*epsilon*c**2*r)", "I epsilon c r 1..5"),
    ("moving_charge", "II.21.32", "q/(4*pi*epsilon*r*(1 - v/c))", "q epsilon r 1..5, v 1..2, c 3..10"),
    ("wave_guide", "II.24.17", "sqrt(omega**2/c**2 - pi**2/d**2)", "omega 4..6, c 1..2, d 2..4"),
    ("magnetic_resonance", "II.34.29b", "g_*mom*B*Jz*2*pi/h", "g_ mom B Jz h 1..5"),
    ("two_levels", "II.35.18", "n_0/(exp(mom*B/(kb*T)) + exp(-mom*B/(kb*T)))", "n_0 mom B kb T 1..3"),
    ("paramagnet", "II.35.21", "n_rho*mom*tanh(mom*B/(kb*T))", "n_rho mom B kb T 1..5"),
    (
        "mean_field",
        "II.36.38",
        "mom*H/(kb*T) + mom*alpha*M/(epsilon*c**2*kb*T)",
        "mom H alpha M epsilon c kb T 1..3",
    ),
    ("bose_oscillator", "III.4.33", "h*omega/(2*pi)/(exp(h*omega/(2*pi*kb*T)) - 1)", "h omega 2..5, kb T 1..2"),
    ("two_state", "III.8.54", "sin(2*pi*E_n*t/h)**2", "E_n t 1..2, h 1..4"),
    (
        "ammonia_maser",
        "III.9.52",
        """
        x = (omega - omega_0)*t/2
        2*pi*p_d*Ef*t/h*sin(x)**2/x**2
        """,
        "p_d Ef t h 1..3, omega omega_0 1..5",
    ),
    ("diode", "III.14.14", "I_0*(exp(q*Volt/(kb*T)) - 1)", "I_0 1..5, q Volt kb T 1..2"),
    ("crystal_band", "III.15.12", "2*U*(1 - cos(k*d))", "U k d 1..5"),
    ("angular_spread", "III.17.37", "beta*(1 + alpha*cos(theta))", "beta alpha theta 1..5"),
    ("hydrogen", "III.19.51", "-m*q**4/(2*(4*pi*epsilon)**2*(h/(2*pi))**2*n**2)", "m q h n epsilon 1..5"),
    (
        "rutherford",
        "B1",
        "(Z_1*Z_2*alpha*hbar*c/(4*E_n*sin(theta/2)**2))**2",
        "Z_1 Z_2 alpha hbar c 1..2, E_n theta 1..3",
    ),
    (
        "kepler_orbit",
        "B2",
        "m*k_G/L**2*(1 + sqrt(1 + 2*E_n*L**2/(m*k_G**2))*cos(theta1 - theta2))",
        "m k_G L E_n 1..3, theta1 theta2 0..6",
    ),
    ("radial_speed", "B4", "sqrt(2/m*(E_n - U - L**2/(2*m*r**2)))", "m U L r 1..3, E_n 8..12"),
    ("kepler_period", "B5", "2*pi*d**(3/2)/sqrt(G*(m1 + m2))", "d G m1 m2 1..3"),
    ("friedmann", "B7", "sqrt(8*pi*G*rho/3 - alpha*c**2/d**2)", "G rho d 1..3, alpha c 1..2"),
    (
        "compton",
        "B8",
        """
        E: real  # declared, so no longer the constant
        E/(1 + E*(1 - cos(theta))/(m*c**2))
        """,
        "E m c theta 1..3",
    ),
    ("gravitational_waves", "B9", "-32/5*G**4/c**5*(m1*m2)**2*(m1 + m2)/r**5", "G c r 1..2, m1 m2 1..5"),
    ("aberration", "B10", "acos((cos(theta2) - v/c)/(1 - v/c*cos(theta2)))", "c 4..6, v theta2 1..3"),
    (
        "slits",
        "B11",
        "I_0*(sin(alpha/2)*sin(n*delta/2)/(alpha/2*sin(delta/2)))**2",
        "I_0 alpha delta 1..3, n 1..2",
    ),
    (
        "image_charge",
        "B13",
        "q/(4*pi*epsilon*sqrt(r**2 + d**2 - 2*r*d*cos(alpha)))",
        "q epsilon 1..5, r 1..3, d 4..6, alpha 0..6",
    ),
    ("particle_in_field", "B16", "sqrt((p - q*A_vec)**2*c**2 + m**2*c**4) + q*Volt", "m c p q A_vec Volt 1..5"),
    (
        "klein_nishina",
        "B20",
        """
        E = omega_0/omega  # assigned, so no longer the constant
        alpha**2*h**2/(4*pi*m**2*c**2)*E**2*(E + 1/E - sin(beta)**2)
        """,
        "omega omega_0 alpha h m c 1..5, beta 0..6",
    ),
]

_OPTIMISATION = [
    ("rosenbrock", "(1 - x)**2 + 100*(y - x**2)**2", "x y -2..2"),
    ("himmelblau", "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", "x y -5..5"),
    ("beale", "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2", "x y -4.5..4.5"),
    (
        "goldstein_price",
        """
        a = 1 + (x + y + 1)**2*(19 - 14*x + 3*x**2 - 14*y + 6*x*y + 3*y**2)
        b = 30 + (2*x - 3*y)**2*(18 - 32*x + 12*x**2 + 48*y - 36*x*y + 27*y**2)
        a*b
        """,
        "x y -2..2",
    ),
    (
        "ackley",
        "-20*exp(-0.2*sqrt((x**2 + y**2)/2)) - exp((cos(2*pi*x) + cos(2*pi*y))/2) + E + 20",
        "x y -5..5",
    ),
    ("rastrigin", "20 + x**2 - 10*cos(2*pi*x) + y**2 - 10*cos(2*pi*y)", "x y -5.12..5.12"),
    (
        "levy",
        """
        u = 1 + (x - 1)/4
        v = 1 + (y - 1)/4
        sin(pi*u)**2 + (u - 1)**2*(1 + 10*sin(pi*u + 1)**2) + (v - 1)**2*(1 + sin(2*pi*v)**2)
        """,
        "x y -10..10",
    ),
    ("griewank", "(x**2 + y**2)/4000 - cos(x)*cos(y/sqrt(2)) + 1", "x y -600..600"),
    ("styblinski_tang", "(x**4 - 16*x**2 + 5*x + y**4 - 16*y**2 + 5*y)/2", "x y -5..5"),
    ("branin", "(y - 5.1/(4*pi**2)*x**2 + 5/pi*x - 6)**2 + 10*(1 - 1/(8*pi))*cos(x) + 10", "x -5..10, y 0..15"),
    ("mccormick", "sin(x + y) + (x - y)**2 - 1.5*x + 2.5*y + 1", "x -1.5..4, y -3..4"),
    ("booth", "(x + 2*y - 7)**2 + (2*x + y - 5)**2", "x y -10..10"),
    ("matyas", "0.26*(x**2 + y**2) - 0.48*x*y", "x y -10..10"),
    ("easom", "-cos(x)*cos(y)*exp(-((x - pi)**2 + (y - pi)**2))", "x y 0..6"),
    ("six_hump_camel", "(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (-4 + 4*y**2)*y**2", "x -3..3, y -2..2"),
    ("three_hump_camel", "2*x**2 - 1.05*x**4 + x**6/6 + x*y + y**2", "x y -5..5"),
    ("schaffer_2", "0.5 + (sin(x**2 - y**2)**2 - 0.5)/(1 + 0.001*(x**2 + y**2))**2", "x y -100..100"),
    ("bukin_6", "100*sqrt(Abs(y - 0.01*x**2)) + 0.01*Abs(x + 10)", "x -15..-5, y -3..3"),
    ("eggholder", "-(y + 47)*sin(sqrt(Abs(x/2 + y + 47))) - x*sin(sqrt(Abs(x - y - 47)))", "x y -512..512"),
    (
        "cross_in_tray",
        "-0.0001*(Abs(sin(x)*sin(y)*exp(Abs(100 - sqrt(x**2 + y**2)/pi))) + 1)**0.1",
        "x y -10..10",
    ),
]

_FINANCE = [
    (
        "black_scholes_call",
        "F. Black and M. Scholes (1973)",
        """
        d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T))
        d2 = d1 - sigma*sqrt(T)
        S*(1 + erf(d1/sqrt(2)))/2 - K*exp(-r*T)*(1 + erf(d2/sqrt(2)))/2
        """,
        "S K 90..110, r 0.01..0.05, sigma 0.1..0.4, T 0.5..2",
    ),
    (
        "black_scholes_put",
        "F. Black and M. Scholes (1973)",
        """
        d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T))
        d2 = d1 - sigma*sqrt(T)
        K*exp(-r*T)*(1 + erf(-d2/sqrt(2)))/2 - S*(1 + erf(-d1/sqrt(2)))/2
        """,
        "S K 90..110, r 0.01..0.05, sigma 0.1..0.4, T 0.5..2",
    ),
    (
        "garman_kohlhagen",
        "M. Garman and S. Kohlhagen (1983)",
        """
        d1 = (log(S/K) + (r_d - r_f + sigma**2/2)*T)/(sigma*sqrt(T))
        d2 = d1 - sigma*sqrt(T)
        S*exp(-r_f*T)*(1 + erf(d1/sqrt(2)))/2 - K*exp(-r_d*T)*(1 + erf(d2/sqrt(2)))/2
        """,
        "S K 1..1.3, r_d r_f 0.01..0.05, sigma 0.1..0.2, T 0.5..2",
    ),
    (
        "black_76",
        "F. Black (1976)",
        """
        w = sigma*sqrt(T)
        d = log(F/K)/w
        exp(-r*T)*(F*(1 + erf((d + w/2)/sqrt(2))) - K*(1 + erf((d - w/2)/sqrt(2))))/2
        """,
        "F K 40..60, r 0.01..0.05, sigma 0.2..0.5, T 0.5..2",
    ),
    (
        "bachelier",
        "L. Bachelier (1900)",
        """
        w = sigma*sqrt(T)
        d = (F - K)/w
        (F - K)*(1 + erf(d/sqrt(2)))/2 + w*exp(-d**2/2)/sqrt(2*pi)
        """,
        "F K -1..1, sigma 0.5..1, T 0.5..2",
    ),
    (
        "merton_jump_term",
        "R. Merton (1976), the term of three jumps, jumps without mean",
        """
        s = sqrt(sigma**2 + 3*delta**2/T)
        d1 = (log(S/K) + (r + s**2/2)*T)/(s*sqrt(T))
        d2 = d1 - s*sqrt(T)
        call = S*(1 + erf(d1/sqrt(2)))/2 - K*exp(-r*T)*(1 + erf(d2/sqrt(2)))/2
        exp(-lam*T)*(lam*T)**3/6*call
        """,
        "S K 90..110, r 0.01..0.05, sigma delta 0.1..0.4, T 0.5..2, lam 0.1..2",
    ),
    (
        "nelson_siegel",
        "C. Nelson and A. Siegel (1987)",
        """
        decay = (1 - exp(-t/tau))/(t/tau)
        beta0 + beta1*decay + beta2*(decay - exp(-t/tau))
        """,
        "beta0 0.01..0.05, beta1 beta2 -0.03..0.03, t 1..10, tau 1..3",
    ),
    (
        "coupon_bond",
        "the present value of a bond of four years",
        "c/(1 + r) + c/(1 + r)**2 + c/(1 + r)**3 + (c + 100)/(1 + r)**4",
        "c 1..8, r -0.01..0.1",
    ),
    (
        "vasicek_bond",
        "O. Vasicek (1977)",
        """
        B = (1 - exp(-a*T))/a
        exp((b - sigma**2/(2*a**2))*(B - T) - sigma**2*B**2/(4*a) - B*r)
        """,
        "a 0.2..1, b r 0.01..0.06, sigma 0.01..0.05, T 1..10",
    ),
    (
        "svi_total_variance",
        "J. Gatheral (2004)",
        "a + b*(rho*(k - m) + sqrt((k - m)**2 + sigma**2))",
        "a 0.01..0.04, b 0.1..0.4, rho -0.7..0.2, k -1..1, m -0.1..0.1, sigma 0.1..0.3",
    ),
    (
        "digital_call",
        "the price of one unit paid above the strike",
        "exp(-r*T)*(1 + erf((log(S/K) + (r - sigma**2/2)*T)/(sigma*sqrt(2*T))))/2",
        "S K 90..110, r 0.01..0.05, sigma 0.1..0.4, T 0.5..2",
    ),
]

_STATISTICS = [
    ("normal_log_density", "-((x - mu)/sigma)**2/2 - log(sigma) - log(2*pi)/2", "x mu -3..3, sigma 0.5..4"),
    (
        "student_log_density",
        """
        z = (x - mu)/sigma
        loggamma((nu + 1)/2) - loggamma(nu/2) - log(nu*pi)/2 - log(sigma) - (nu + 1)/2*log(1 + z**2/nu)
        """,
        "x mu -3..3, sigma 0.5..4, nu 1..3",
    ),
    ("logistic_loss", "log(1 + exp(-y*(w*x + b)))", "x w b y -2..2"),
    ("poisson_log_likelihood", "k*(b0 + b1*x) - exp(b0 + b1*x) - loggamma(k + 1)", "k 0.5..20, b0 b1 x -1..2"),
    ("gamma_log_density", "a*log(b) - loggamma(a) + (a - 1)*log(x) - b*x", "a 0.5..9, b 0.3..4, x 0.1..9"),
    (
        "beta_log_density",
        "loggamma(a + b) - loggamma(a) - loggamma(b) + (a - 1)*log(x) + (b - 1)*log(1 - x)",
        "a b 0.5..4, x 0.05..0.95",
    ),
    ("cross_entropy", "log(exp(a) + exp(b) + exp(c)) - (p*a + q*b + (1 - p - q)*c)", "a b c -5..5, p q 0.1..0.4"),
    ("softplus", "log(1 + exp(x))", "x -5..5"),
    ("huber", "Piecewise((x**2/2, Abs(x) <= delta), (delta*(Abs(x) - delta/2), True))", "x -4..4, delta 0.5..3"),
]

_SHAPES = [
    ("extremes", "Max(x, y, z)*Min(x*y, z, 1) + Max(0, x - y)", "x y z -2..2"),
    ("absolute", "Abs(x*y - 1)**3 + sign(y)*x*Abs(x)", "x y -2..2"),
    ("branches", "Piecewise((log(x), x > 0), (sqrt(-x)*y, y > 0), (x*y**3, True))", "x y -2..2"),
    ("guarded_pole", "Piecewise((sin(x)/x, Ne(x, 0)), (1, True))*y", "x y -3..3"),
    ("logic", "Piecewise((x, (x > 0) & (y > 0)), (y**2, (x > 1) | ~(y > -1)), (x*y, True))", "x y -2..2"),
    ("exclusive", "Piecewise((x*y, Xor(x > 0, y > 1)), (x**2, True))", "x y -2..2"),
    ("conditional", "x**2 if x > y else y**3 if y > 1 else x*y", "x y -2..2"),
    ("periodic", "Mod(x, 3)*y + Mod(-x, y)", "x -20..20, y 1..5"),
    ("remainder_of_negative", "x + Mod(-y/2, 1)", "x 1..9, y 2..9"),
    ("stairs", "floor(x)*y + ceiling(x*y) + x*Heaviside(y)", "x y -5..5"),
    ("clipped", "Min(Max(x, -1), 1)*exp(Min(y, 0))", "x y -3..3"),
    ("angle", "atan2(y, x) + sqrt(x**2 + y**2)", "x y -3..3"),
    ("power", "x**y + y**x", "x y 0.1..4"),
    ("nested_powers", "((x**2 + 1)**y + 1)**(1/3)/(x**x)**0.7", "x 0.2..3, y -2..2"),
    ("power_tower", "x**(y**x)", "x y 0.5..2"),
    ("integer_powers", "x**7 - 3*y**-5 + (x*y)**-2 + (x - y)**31/1000000000", "x -3..-1, y 1..2"),
    ("horner", "1 + x*(2 + x*(3 + x*(5 + x*(7 + x*(11 + x*(13 + x*(17 + x*(19 + x*23))))))))", "x -2..2"),
    ("continued_fraction", "x + 1/(y + 1/(x + 1/(y + 1/(x + 1/(y + 1/(x + y))))))", "x y 0.5..3"),
    ("deep_tower", "sin(exp(cos(exp(sin(exp(cos(exp(sin(x*y)))))))))", "x y -1.5..1.5"),
    (
        "iterated",
        """
        a = tanh(x + y)
        b = tanh(a + x*y)
        c = tanh(b + a*y)
        tanh(c + b*x) + a*b*c
        """,
        "x y -1..1",
    ),
    ("circular", "tan(x) + sec(y)*cot(z) + csc(z)", "x y -1..1, z 0.3..2.8"),
    ("inverse_circular", "asin(x)*acos(y) + atan(z) + acot(z)", "x y -0.9..0.9, z 0.5..9"),
    ("inverse_reciprocal", "asec(x) + acsc(x)*y + acoth(x) + asech(1/x) + acsch(y)", "x 1.2..9, y 0.5..3"),
    ("hyperbolic", "sinh(x)*cosh(y) + sech(x) + csch(y) + coth(y)", "x -3..3, y 0.5..3"),
    ("inverse_hyperbolic", "asinh(x) + acosh(y) + atanh(x/4)", "x -3..3, y 1.2..9"),
    ("special", "erf(x)*erfc(y) + gamma(y) + loggamma(y + 2)", "x -2..2, y 0.5..4"),
    ("constants", "pi*x**E + E**x/pi", "x 0.1..3"),
    (
        "named_constants",
        """
        a = sin(1/2)
        b = a*x + sqrt(2)
        c = pi/4
        b*exp(c*y) + a
        """,
        "x y -2..2",
    ),
    ("unused_branch", "Piecewise((x, x < 100), (1/Max(0, -x), True)) + y", "x y 1..3"),
]

# Right to the last digits all the same, since the inputs determine the results so well.
_HARD = [
    (
        "call_far_out",
        """
        d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T))
        d2 = d1 - sigma*sqrt(T)
        S*(1 + erf(d1/sqrt(2)))/2 - K*exp(-r*T)*(1 + erf(d2/sqrt(2)))/2
        """,
        "S 50..55, K 110..120, r 0.01..0.05, sigma 0.1..0.15, T 0.5..1",
        "1 + erf(d) cancels",
    ),
    ("tail", "erfc(x/sqrt(2))/2", "x 5..30", "1 - erf(x) would be 0"),
    ("tail_by_erf", "(1 + erf(-x/sqrt(2)))/2", "x 5..30", "1 + erf(-x) cancels"),
    ("saturated_tanh", "tanh(k*x)", "k 5..9, x 3..6", "the derivative 1 - y**2 cancels"),
    ("dead_sigmoid", "1/(1 + exp(-x))", "x -700..-30", "exp(-x)**2 overflows"),
    ("softplus_left", "log(1 + exp(x))", "x -300..-30", "1 + exp(x) rounds to 1"),
    ("softplus_right", "log(1 + exp(x))", "x 700..900", "exp(x) overflows"),
    ("log_sum_exp", "log(exp(x) + exp(y))", "x 700..900, y 600..800", "exp(x) overflows"),
    ("log_sum_exp_low", "log(exp(x) + exp(y))", "x y -900..-760", "exp(x) underflows"),
    ("bose_soft", "x**3/(exp(x) - 1)", "x 0.000001..0.001", "exp(x) - 1 cancels"),
    ("log_near_one", "log(1 + x)", "x 0.00000001..0.0001", "1 + x loses the digits of x"),
    ("easom_far", "-cos(x)*cos(y)*exp(-((x - pi)**2 + (y - pi)**2))", "x y -100..100", "underflows to 0"),
    ("steep_power", "(x/y)**300", "x y 0.5..5", "300 roundings add up, the inverse power may overflow"),
    ("gauss_tail", "exp(-x**2/2)", "x 30..38", "near the smallest floats"),
    ("large_angle", "sin(x*y)", "x y 100000..1000000", "arguments far outside one period"),
    ("cosh_ratio", "sinh(x)/cosh(x)", "x 300..700", "cosh(x)**2 overflows"),
]

CORPUS: list[Case] = [
    *(_case("physics", name, f"AI Feynman {number}", text, ranges) for name, number, text, ranges in _PHYSICS),
    *(_case("optimisation", name, "Jamil and Yang (2013)", text, ranges) for name, text, ranges in _OPTIMISATION),
    *(_case("finance", name, source, text, ranges) for name, source, text, ranges in _FINANCE),
    *(_case("statistics", name, "textbook", text, ranges) for name, text, ranges in _STATISTICS),
    *(_case("shapes", name, "ours", text, ranges) for name, text, ranges in _SHAPES),
    *(_case("hard", name, "ours", text, ranges, hard) for name, text, ranges, hard in _HARD),
]


@dataclass(frozen=True)
class Edge:
    """A formula at one special point, and what is right there: the limit inside the domain, or the convention."""

    name: str
    text: str
    point: tuple[float, ...]  # of the variables by name
    wanted: tuple[float, ...]  # the value, and the derivative by each variable: closed forms


def is_near(got: Sequence[float], wanted: Sequence[float]) -> bool:
    """Equal to a few units in the last place; infinities, NaN and 0 exactly."""
    return len(got) == len(wanted) and all(
        math.isnan(one) if math.isnan(two) else one == two or math.isclose(one, two, rel_tol=4e-15)
        for one, two in zip(got, wanted, strict=True)
    )


_INF, _NAN = math.inf, math.nan
_SLOPE_40 = 4.248354255291589e-18  # exp(-40)/(1 + exp(-40))**2
_SLOPE_20 = 2.061153613941849e-09
_HALF_PI = math.pi / 2
_MATERN_5 = "(1 + sqrt(5)*r + 5*r**2/3)*exp(-sqrt(5)*r)"

EDGES = [
    Edge(*row)
    for row in (
        # Powers: the derivative of the power, not of the products and roots that it is computed by.
        ("power_3_2", "x**(3/2)", (0.0,), (0, 0)),
        ("power_3_2_as_float", "x**1.5", (0.0,), (0, 0)),
        ("power_3_2_as_product", "x*sqrt(x)", (0.0,), (0, 0)),
        ("power_3_2_elsewhere", "x**(3/2)", (4.0,), (8, 3)),
        ("power_3_2_left", "x**(3/2)", (-1.0,), (_NAN, _NAN)),
        ("power_5_2", "x**(5/2)", (0.0,), (0, 0)),
        ("power_4_3", "x**(4/3)", (0.0,), (0, 0)),
        ("power_2_3", "x**(2/3)", (0.0,), (0, _INF)),
        ("power_1_10", "x**0.1", (0.0,), (0, _INF)),
        ("power_11_10", "x**1.1", (0.0,), (0, 0)),
        ("power_minus_1_2", "x**(-1/2)", (0.0,), (_INF, -_INF)),
        ("power_minus_1_2_of_minus_zero", "x**(-1/2)", (-0.0,), (_INF, -_INF)),
        ("power_minus_3_2", "x**(-3/2)", (0.0,), (_INF, -_INF)),
        ("power_minus_17_10", "x**-1.7", (0.0,), (_INF, -_INF)),
        ("power_minus_2", "x**-2", (0.0,), (_INF, -_INF)),
        ("power_minus_5", "x**-5", (0.0,), (_INF, -_INF)),
        ("power_minus_5_left", "x**-5", (-0.0,), (-_INF, -_INF)),
        ("power_minus_5_far", "x**-5", (1e40,), (1e-200, -5e-240)),
        ("power_minus_2_far", "y/x**2", (1e100, 3.0), (3e-200, -6e-300, 1e-200)),
        ("power_minus_2_scaled", "y/(3*x**2)", (0.0, 1.0), (_INF, -_INF, _INF)),
        ("power_minus_2_of_product", "(x*y)**-2", (0.0, 2.0), (_INF, -_INF, -_INF)),
        ("power_minus_2_in_sum", "x**-2 + y*x**-2 + x**2", (0.0, 1.0), (_INF, -_INF, _INF)),
        ("power_of_itself", "2/x**x", (2.0,), (0.5, -0.5 * (math.log(2) + 1))),
        ("power_of_relu", "Max(0, x)**(3/2)", (0.0,), (0, 0)),
        ("power_of_square", "(x**2)**(3/2)", (0.0,), (0, 0)),
        ("power_of_square_left", "(x**2)**(3/2)", (-2.0,), (8, -12)),
        ("root_of_fourth_power", "sqrt(x**4)", (0.0,), (0, 0)),
        ("root_of_cube", "sqrt(x**3)", (0.0,), (0, 0)),
        ("root_of_left", "sqrt(-x)", (0.0,), (0, -_INF)),
        ("root_of_minus_zero", "sqrt(x)", (-0.0,), (0, _INF)),
        ("cube_root_of_minus_zero", "cbrt(x)", (-0.0,), (0, _INF)),
        # A maximum routes: who loses gets exactly 0, also of an infinite adjoint.
        ("root_of_relu_left", "sqrt(Max(0, x))", (-1.0,), (0, 0)),
        ("logarithm_of_relu_left", "log(Max(0, x))", (-1.0,), (-_INF, 0)),
        ("inverse_of_largest", "1/Max(x, y)", (0.0, -1.0), (_INF, -_INF, 0)),
        ("root_of_largest_of_3", "sqrt(Max(x, y, z))", (0.0, -1.0, -2.0), (0, _INF, 0, 0)),
        ("logarithm_of_smallest", "log(Min(x, y))", (0.0, 1.0), (-_INF, _INF, 0)),
        # Norms have a kink at 0, and the subgradient 0 there.
        ("norm_of_4", "sqrt(w**2 + x**2 + y**2 + z**2)", (0.0,) * 4, (0,) * 5),
        ("norm_of_4_elsewhere", "sqrt(w**2 + x**2 + y**2 + z**2)", (1.0, 1.0, 1.0, 1.0), (2, 0.5, 0.5, 0.5, 0.5)),
        ("norm_weighted", "sqrt(3*x**2 + y**2/4)", (0.0, 0.0), (0, 0, 0)),
        ("norm_scaled", "sqrt((x/l)**2 + (y/m)**2)", (2.0, 3.0, 0.0, 0.0), (0,) * 5),
        ("norm_with_weights", "sqrt(a*x**2 + b*y**2)", (2.0, 3.0, 0.0, 0.0), (0,) * 5),
        ("norm_with_one_weight", "sqrt(a*x**2)", (4.0, 0.0), (0, 0, 0)),
        ("norm_of_weight_zero", "sqrt(x**2*y + (y - 1)**2)", (0.0, 1.0), (0, 0, 0)),
        ("norm_of_higher_powers", "sqrt(x**4 + 2*y**2 + z**6 + x**2)", (0.0, 0.0, 0.0), (0, 0, 0, 0)),
        ("matern_at_0", f"r = sqrt((x/l)**2 + (y/m)**2)\n{_MATERN_5}", (2.0, 3.0, 0.0, 0.0), (1, 0, 0, 0, 0)),
        # Who loses contributes exactly 0, also where its own derivative is infinite.
        ("loser_beside_its_sign", "Min(sinh(x), sign(sinh(x)))", (1e16,), (1, 0)),
        ("root_beside_its_ceiling", "Piecewise((sqrt(abs(x)), x < -2), (ceil(sqrt(abs(x))), True))", (0.0,), (0, 0)),
        ("loser_overflows", "Min(exp(x), 1)", (1000.0,), (1, 0)),
        ("loser_at_pole", "Max(log(x), -10)", (0.0,), (-10, 0)),
        ("loser_at_root", "Max(sqrt(x), 1)", (0.0,), (1, 0)),
        ("loser_at_inverse_square", "Min(1/x**2, 5)", (0.0,), (5, 0)),
        ("loser_at_quotient", "Min(2, a**2/b**2)", (1.0, 0.0), (2, 0, 0)),
        ("loser_of_three", "Max(log(x), y, z)", (0.0, 1.0, 2.0), (2, 0, 0, 1)),
        ("loser_inside_loser", "Max(1, Min(exp(x), y))", (1000.0, 0.5), (1, 0, 0)),
        ("loser_inside_winner", "Max(1, Min(exp(x), y))", (1000.0, 3.0), (3, 0, 1)),
        ("loser_shared", "x + Max(log(x)*y, 1)", (0.0, 2.0), (1, 1, 0)),
        ("loser_infinite", "Min(x*y, 5)", (_INF, 1.0), (5, 0, 0)),
        ("loser_in_branch", "Max(log(x), y) if z > 0 else x", (0.0, 2.0, 1.0), (2, 0, 1, 0)),
        ("branch_in_loser", "Max(y, log(x) if z > 0 else x)", (0.0, 2.0, 1.0), (2, 0, 1, 0)),
        ("loser_in_branch_not_taken", "Min(x, x**(5/2))**x if x > 0 else x", (-1.0,), (-1, 1)),
        ("power_in_branches", "2*x**(7/10) if x > 0 else x**(7/10)", (0.0,), (0, _INF)),
        ("tie_of_computed", "Max(2*x, y)", (1.0, 2.0), (2, 1, 0.5)),
        ("tie_at_root", "Max(sqrt(x), y)", (4.0, 2.0), (2, 0.125, 0.5)),
        ("winner_at_pole", "Max(sqrt(x), -1)", (0.0,), (0, _INF)),
        # Exponentials.
        ("log_sum_exp_of_nothing", "log(exp(a) + exp(b))", (-_INF, -_INF), (-_INF, 0.5, 0.5)),
        ("log_sum_exp_of_one", "log(exp(a) + exp(b))", (-_INF, 3.0), (3, 0, 1)),
        ("log_sum_exp_of_infinity", "log(exp(a) + exp(b))", (_INF, 3.0), (_INF, 1, 0)),
        ("log_sum_exp_of_infinities", "log(exp(a) + exp(b))", (_INF, _INF), (_INF, 0.5, 0.5)),
        ("log_sum_exp_of_three", "log(exp(a) + exp(b) + exp(c))", (-_INF,) * 3, (-_INF, *(1 / 3,) * 3)),
        ("log_sum_exp_of_two_in_three", "log(exp(a) + exp(b) + exp(c))", (-_INF, -_INF, 1.0), (1, 0, 0, 1)),
        ("logistic_at_40", "1/(1 + exp(-x))", (40.0,), (1, _SLOPE_40)),
        ("logistic_at_minus_40", "1/(1 + exp(-x))", (-40.0,), (4.248354255291589e-18, _SLOPE_40)),
        ("logistic_at_20", "1/(1 + exp(-x))", (20.0,), (0.9999999979388463, _SLOPE_20)),
        ("logistic_at_1000", "1/(1 + exp(-x))", (1000.0,), (1, 0)),
        ("logistic_at_minus_1000", "1/(1 + exp(-x))", (-1000.0,), (0, 0)),
        ("logistic_at_infinity", "1/(1 + exp(-x))", (_INF,), (1, 0)),
        ("logistic_at_minus_infinity", "1/(1 + exp(-x))", (-_INF,), (0, 0)),
        ("logistic_of_nan", "1/(1 + exp(-x))", (_NAN,), (_NAN, _NAN)),
        # A rounding before an edge or a step: a/b is one division.
        *(
            (f"root_of_ratio_at_{at}", "sqrt(x/y - 1)*sin(1/y)", (at, at), (0, _INF, -_INF))
            for at in (0.3826, 0.4943, 1.8514, 2.7712)
        ),
        ("kink_of_ratio", "Abs(x/y - 1) + z/y", (0.3826, 0.3826, 0.0), (0, 0, 0, 1 / 0.3826)),
        ("tie_of_ratio", "Max(x/y, 1) + z/y", (0.3826, 0.3826, 0.0), (1, 0.5 / 0.3826, -0.5 / 0.3826, 1 / 0.3826)),
        # The rest.
        ("acot_of_minus_zero", "acot(x)", (-0.0,), (_HALF_PI, -1)),
        ("acoth_at_1", "acoth(x)", (1.0,), (_INF, -_INF)),
        ("acoth_at_minus_1", "acoth(x)", (-1.0,), (-_INF, -_INF)),
        ("sinc_near_0", "sinc(x)", (1e-300,), (1, -1e-300 / 3)),
        ("sine_far_out", "sin(x)", (1e22,), (-0.8522008497671888, 0.5232147853951389)),
    )
]
