# SPDX-License-Identifier: Apache-2.0
"""What the suites that drive mlcc from outside share: running mlcc and cc, values in and out, calling emitted code."""
