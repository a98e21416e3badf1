"""The families of hardware: what holds on a GPU and on Inferentia, judged where there is one."""
