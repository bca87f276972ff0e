"""Where sweeps run: this machine, or a Ray cluster through its Job API. Submitted here, followed by their id.

    config      configs/clusters/*.yaml                     single     one training as a sweep of one trial
    package     what travels to the cluster                 submit     check, pack, send, remember
    jobs, local whoever runs a driver                       submitted  what was sent where
    progress    a sweep's state, from its log alone         follow     status, logs, stop       clean   what may go
"""
