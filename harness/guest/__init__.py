"""All that deals with the guest. Of these modules only `trial_script` runs inside it; the others run on the host.

- `trial_script`: the file that is sent to the guest and carries out one trial there (Python 3.6, standard library only)
- `trial`: sends that script, waits until the recording is over, and copies back what it left
- `provision`: installs the packages of a trial with Ansible, `ansible_events` reads what Ansible reports
- `remote`: runs commands and copies files over SSH, each within a deadline
"""
