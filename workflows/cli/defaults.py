"""Luigi settings that suit a command line on one machine; luigi.cfg overrides them."""

from luigi.configuration import get_config

DEFAULTS = {
    "core": {
        "local_scheduler": "true",  # without one, Luigi waits a minute for a server
        "no_lock": "true",  # with its lock, the same command in another folder exits; our locks are per dataset
        "log_level": "INFO",
    },
    "worker": {"task_process_context": "workflows.cli.process.TaskProcess"},
    # Luigi's own exit codes are 0 for most failures
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}


def set_defaults() -> None:
    """Set every default that luigi.cfg leaves open."""
    config = get_config()
    for section, settings in DEFAULTS.items():
        for key, value in settings.items():
            if not config.has_option(section, key):
                config.set(section, key, value)
