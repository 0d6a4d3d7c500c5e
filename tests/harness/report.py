# SPDX-License-Identifier: Apache-2.0
"""How a suite tells what came of it: a line for each failure, and a last line that run_all.py adds up."""
import sys


class Report:
    def __init__(self):
        self.count = {'passed': 0, 'failed': 0, 'skipped': 0}

    def check(self, name, why):
        """why: '' when the check passed."""
        self.count['failed' if why else 'passed'] += 1
        if why:
            print(f'FAIL {name}: {why}', flush=True)

    def skip(self, name, why):
        self.count['skipped'] += 1
        print(f'skipped {name}: {why}', flush=True)

    def finish(self):
        """A suite that ran nothing has not passed."""
        if not any(self.count.values()):
            self.check('suite', 'there was nothing to run')
        print(', '.join(f'{n} {status}' for status, n in self.count.items()))
        sys.exit(1 if self.count['failed'] else 0)
