"""The whole on real processes: started, killed, stopped and started again; the town counts what happened."""
