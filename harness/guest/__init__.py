"""All that deals with the guest. The modules of `trial.SENT_ALONG` run inside it, the others on the host.

- `trial_script`: sent to the guest, where it carries out one trial (Python 3.6, standard library only)
- `trial_load` (services, preparation, parts), `trial_recording` (perf), `trial_console`, `trial_command`: its modules
- `trial_facts`: sent along; prints the facts about the guest
- `trial_tasks`: sent along; prints the guest's tasks with their scheduling groups
- `trial_config`: what that script is told of the trial, and the limits of its phases
- `trial`: sends that script, waits until it is done, and copies back what it left
- `phases`: reads on the guest's console how far the script is, and on the guest's clock how long it took
- `trial_progress`: shows it
- `monitor`: the view of the guest from outside
- `provision`: installs the packages of a trial with Ansible, `ansible_events` reads what Ansible reports
- `remote`: runs commands and copies files over SSH, each within a deadline
- `deadline`: deadlines on a clock that may stand still
"""
