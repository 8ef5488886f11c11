"""Control of every program of every container from one place."""
