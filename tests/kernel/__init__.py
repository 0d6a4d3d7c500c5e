# SPDX-License-Identifier: Apache-2.0
"""Register tiles: suites and the models that they look at."""
