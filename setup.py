"""Only the Cython extensions; everything else is in setup.cfg."""

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension(
                f'aiida_ionconduct.{name}',
                [f'aiida_ionconduct/{name.replace(".", "/")}.pyx'],
                include_dirs=[numpy.get_include()],
                define_macros=[('NPY_NO_DEPRECATED_API', 'NPY_1_7_API_VERSION')],
                extra_compile_args=['-O3', '-fopenmp'],
                extra_link_args=['-fopenmp'],
            )
            for name in ('readers._text', 'structures._search', 'transport._kernels')
        ],
        language_level=3,
    )
)
